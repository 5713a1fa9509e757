"""HAProxy before the service, as shipped; and with health checks in HTTP/1.0, which must not cost a call."""

import contextlib
import http.client
import subprocess
import threading
import time

import pytest

from service import ROOT, free_port
from test_nginx import BODY, assert_answers_are_those_of_the_service, assert_changes_pass, star, without_id

SHIPPED = ROOT / "deploy" / "haproxy" / "haproxy.cfg"
CALLERS, CALLS = 4, 250
# Every other one of a keep-alive connection was lost once, whenever a check in HTTP/1.0 had come in between.
OLD_CHECK = """    option httpchk OPTIONS /v1/Login
    http-check expect status 204
    # Without it a check may take no longer than `inter`, and a busy machine is taken for an absent service.
    timeout check 5s
    http-reuse safe
    server virksomhedslogin unix@{socket} check inter 10ms fall 1 rise 1 pool-purge-delay 60s
"""


def shipped(proxied, home, port, edit=lambda text: text):
    """The shipped file with this machine's places and what `edit` makes of it."""
    management = proxied.service.management.rpartition(":")[2]
    (home / "combined.pem").write_text((proxied.home / "cert.pem").read_text() + (proxied.home / "key.pem").read_text())
    text = SHIPPED.read_text(encoding="utf-8")
    for theirs, here in [("bind :443", f"bind 127.0.0.1:{port}"), ("/etc/ssl/virksomhedslogin", str(home)),
                         ("log /dev/log local0 info", "log stdout format raw local0 info"), ("port 9090", f"port {management}"),
                         ("/run/virksomhedslogin/api.sock", str(proxied.socket))]:
        assert theirs in text, theirs
        text = text.replace(theirs, here)
    return edit(text)


@contextlib.contextmanager
def running(proxied, home, edit=lambda text: text):
    """The port of an HAProxy before the service of `proxied`; `edit` changes the shipped file."""
    home.mkdir(exist_ok=True)
    port = free_port()
    (home / "haproxy.cfg").write_text(shipped(proxied, home, port, edit), encoding="utf-8")
    with open(home / "haproxy.log", "wb") as log:
        process = subprocess.Popen(["haproxy", "-db", "-f", home / "haproxy.cfg"], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                if ask(proxied, port, "OPTIONS", "/v1/Login").status == 204:
                    break
            except OSError:
                pass
            assert time.monotonic() < deadline and process.poll() is None, (home / "haproxy.log").read_text()
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def haproxy(proxied, tmp_path, request):
    """The port of one; it checks in HTTP/1.0 when the test asks for that."""
    def edit(text):
        if getattr(request, "param", "1.1") == "1.1":
            return text
        return text[:text.index("    # Whether the service can do its part")] + OLD_CHECK.format(socket=proxied.socket)

    with running(proxied, tmp_path, edit) as port:
        yield port


def ask(proxied, port, verb, path, token=None, body=None, headers=None):
    """A request through HAProxy."""
    return proxied.send(http.client.HTTPSConnection("localhost", port, timeout=30, context=proxied.context), verb, path, token,
                     body, headers)


def test_answers_are_those_of_the_service(proxied, haproxy):
    assert_answers_are_those_of_the_service(proxied, lambda *call: ask(proxied, haproxy, *call))


def test_changes_are_those_of_the_service(proxied, haproxy):
    assert_changes_pass(proxied, lambda *call: ask(proxied, haproxy, *call))


@pytest.mark.parametrize("haproxy", ["1.1", "1.0"], indirect=True)
def test_no_login_is_lost_whatever_the_version_of_the_health_check(proxied, haproxy, request):
    token, lost = star(proxied), []

    def call(number):
        connection = http.client.HTTPSConnection("localhost", haproxy, timeout=30, context=proxied.context)
        for call in range(CALLS):
            cvr = b"%08d" % (50_000_000 + number * CALLS + call)
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            try:
                connection.request("PUT", f"/v1/Login/{cvr.decode()}", BODY % cvr, headers)
                answer = connection.getresponse()
                answer.read()
                if answer.status != 204:
                    lost.append(answer.status)
            except (OSError, http.client.HTTPException) as error:
                lost.append(error)
                connection.close()

    threads = [threading.Thread(target=call, args=[number]) for number in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"{request.node.name}: {len(lost)} of {CALLERS * CALLS} logins lost")
    assert not lost, f"{len(lost)} of {CALLERS * CALLS}: {lost[:5]}"


def test_no_log_has_a_token_and_an_absent_service_is_told(proxied, haproxy, tmp_path):
    token = star(proxied)
    proxied.stop_service()
    answer = ask(proxied, haproxy, "GET", "/v1/Login?cvrNummer=00000001", token)
    proxied.start_service()
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["fejlkode"] == "1100" and answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["requestId"] == answer.headers["x-requestid"]
    log = (tmp_path / "haproxy.log").read_text()
    assert '"status":503' in log, log
    parts = [part[:16] for part in token.split(".")] + [token[-16:]]
    assert not [part for part in parts if part in log], "a part of a token"


def test_an_address_that_calls_without_a_token_is_limited_and_leaves_a_bounded_log(proxied, haproxy, tmp_path):
    connection = http.client.HTTPSConnection("localhost", haproxy, timeout=30, context=proxied.context)
    answers = []
    for _ in range(300):
        connection.request("GET", "/v1/Logins")
        answer = connection.getresponse()
        answers.append((answer.status, answer.headers["retry-after"]))
        answer.read()
    assert answers[0] == (401, None) and answers[-1] == (429, "1")
    refused = sum(status == 401 for status, _ in answers)
    answer = ask(proxied, haproxy, "GET", "/v1/Logins")
    assert answer.status == 429 and without_id(answer)["fejlkode"] == "1100"
    assert ask(proxied, haproxy, "GET", "/v1/Login?cvrNummer=00000001", star(proxied)).status == 200, "from the same address"
    time.sleep(0.3)
    assert (tmp_path / "haproxy.log").read_text().count('"status":4') == refused, "what HAProxy refuses leaves no line"
