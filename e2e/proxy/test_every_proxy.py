"""What holds through each of the four proxies as shipped: the service's answers, the request id, the proxy's own answers."""

import http.client
import io
import signal
import threading
import time

import pytest

from proxies import PROXIES, Apache, Caddy, HAProxy
from service import Answer
from test_nginx import BODY, assert_answers_are_those_of_the_service, assert_changes_pass, star, without_id

READ = "/v1/Login?cvrNummer=00000001"
CALLERS, CALLS = 4, 250


def assert_logged(proxy, answer, id_of_caller=None):
    """The log has one line with the id and the status that the caller saw; it is the caller's own id where that is given."""
    seen = answer.headers.get_all("x-requestid")
    assert len(seen) == 1 and seen[0], (answer.status, seen)
    assert seen[0] == (id_of_caller or seen[0])
    deadline = time.monotonic() + 5
    while (lines := [status for found, status in proxy.lines() if found == seen[0]]) == [] and time.monotonic() < deadline:
        time.sleep(0.02)
    assert lines == [answer.status], (seen, proxy.lines()[-3:])


def assert_problem(proxy, answer, status, code, id_of_caller=None):
    """The proxy's own answer has the contract's shape, and its id is in the log."""
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json"), answer
    problem = without_id(answer)
    expected = {"type", "title", "status", "fejlkode", "fejltekst"} | ({"fejl"} if status == 400 else set())
    assert set(problem) == expected and (problem["status"], problem["fejlkode"]) == (status, code)
    assert answer.headers["retry-after"] == ("5" if status >= 500 else None)
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert_logged(proxy, answer, id_of_caller)


def test_answers_are_those_of_the_service(proxied, proxy):
    # Caddy sends the length of an answer that is shorter than its buffer, where the service streams it.
    assert_answers_are_those_of_the_service(proxied, proxy.ask, {"content-length"} if isinstance(proxy, Caddy) else set())


def test_changes_are_those_of_the_service(proxied, proxy):
    assert_changes_pass(proxied, proxy.ask)


@pytest.mark.parametrize("path", ["//v1/Logins", "/v1/../v1/Logins", "/v1/%2e%2e/v1/Logins", "/v1%2FLogins", "/v1/Login%2f12345678",
                                  "/v1/Log%69ns", "/v1/Login/", "/v1/Login{12345678}", "/v1/Login?cvrNummer=0000000%31"])
def test_a_path_goes_on_as_it_came(proxied, proxy, path):
    # Apache alone takes several slashes before a path for one, whatever MergeSlashes says.
    expected = proxied.direct("GET", path.removeprefix("/") if isinstance(proxy, Apache) and path[:2] == "//" else path, star(proxied))
    found = proxy.ask("GET", path, star(proxied))
    assert (found.status, found.headers["content-type"]) == (expected.status, expected.headers["content-type"])
    assert found.body == expected.body or without_id(found) == without_id(expected)


def test_the_service_s_request_id_is_in_the_proxy_s_log(proxied, proxy):
    for path, token, headers in [(READ, star(proxied), {}), (READ, None, {}), ("/nowhere", None, {}),
                                 (READ, star(proxied), {"x-requestId": "not\tone"})]:
        assert_logged(proxy, proxy.ask("GET", path, token, headers=headers))
    name = type(proxy).__name__
    assert_logged(proxy, proxy.ask("GET", READ, star(proxied), headers={"x-requestId": f"{name}-1"}), f"{name}-1")


def test_too_large_a_body_is_a_problem_and_its_id_is_in_the_log(proxied, proxy):
    # HAProxy has no such limit and leaves it to the service.
    answer = proxy.ask("PUT", "/v1/Login/12345678", star(proxied), b" " * 70_000)
    assert_problem(proxy, answer, 413, "1014")


@pytest.mark.parametrize("name", PROXIES)
@pytest.mark.parametrize("away", ["stopped", "frozen"])
def test_a_service_that_does_not_answer_is_a_problem_with_an_id_in_the_log(proxied, tmp_path, name, away):
    def edit(text):
        assert PROXIES[name].wait in text
        return text.replace(PROXIES[name].wait, PROXIES[name].short_wait)

    token = star(proxied)
    # HAProxy gives up the call with a 504, until a health check has failed as well.
    statuses = {("haproxy", "frozen"): (503, 504), ("apache", "frozen"): (502,)}.get((name, away), (503,))
    with PROXIES[name](proxied, tmp_path, edit) as proxy:
        if away == "stopped":
            proxied.stop_service()
        else:
            proxied.process.send_signal(signal.SIGSTOP)
        try:
            answer = proxy.ask("GET", READ, token)
            assert answer.status in statuses
            assert_problem(proxy, answer, answer.status, "1100")
            # As in the service the caller's id is taken when it is one (and needs no escapes in JSON).
            answer = proxy.ask("GET", READ, token, headers={"x-requestId": f"{away}.1"})
            assert_problem(proxy, answer, answer.status, "1100", f"{away}.1")
            for odd in ['a"b', "x" * 47, ""] if away == "stopped" else []:
                answer = proxy.ask("GET", READ, token, headers={"x-requestId": odd})
                assert_problem(proxy, answer, answer.status, "1100")
                assert answer.headers["x-requestid"] != odd
        finally:
            if away == "stopped":
                proxied.start_service()
            else:
                proxied.process.send_signal(signal.SIGCONT)
        deadline = time.monotonic() + 10
        while (answer := proxy.ask("GET", READ, token)).status != 200:
            assert time.monotonic() < deadline, answer.status
            time.sleep(0.1)


HEAD = b"Host: localhost\r\nConnection: close\r\n"
# The request, and the status that nginx and Apache give it.
UNREADABLE = {
    "no request": (b"bla\r\n\r\n", 400),
    "NUL": (b"GET /\0 HTTP/1.1\r\n" + HEAD + b"\r\n", 400),
    "a header of 40,000 bytes": (b"GET / HTTP/1.1\r\n" + HEAD + b"Authorization: Bearer " + b"x" * 40_000 + b"\r\n\r\n", 400),
    "a target of 40,000 bytes": (b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\n" + HEAD + b"\r\n", 414),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_the_proxy_cannot_read_is_a_problem_where_it_can_say_so(proxy, what):
    request, status = UNREADABLE[what]
    answer = proxy.raw(request)
    if isinstance(proxy, (Caddy, HAProxy)):
        # The parsers of these two answer, if at all, before any of their configuration is looked at, as the service's own does.
        assert answer == b"" or answer.split()[1] in (b"400", b"431"), answer
        assert b"x-requestid" not in answer.lower()
    else:
        head, _, body = answer.partition(b"\r\n\r\n")
        fields = http.client.parse_headers(io.BytesIO(head.partition(b"\r\n")[2] + b"\r\n\r\n"))
        assert_problem(proxy, Answer(int(head.split()[1]), fields, body), status, "1014")


def assert_no_login_is_lost(proxied, proxy):
    """Every login of some callers with connections that stay open is answered 204."""
    token, lost = star(proxied), []

    def call(number):
        connection = http.client.HTTPSConnection("localhost", proxy.port, timeout=30, context=proxied.context)
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
    assert not lost, f"{len(lost)} of {CALLERS * CALLS}: {lost[:5]}"


def test_no_login_is_lost(proxied, proxy):
    assert_no_login_is_lost(proxied, proxy)


def test_no_log_has_a_token(proxied, proxy):
    token = star(proxied)
    for path, caller in [(READ, token), (f"/v1/Login?access_token={token}", None), (f"/{token}", None), (f"/%zz{token}", None)]:
        proxy.ask("GET", path, caller)
    time.sleep(0.3)
    parts = [part[:16] for part in token.split(".")] + [token[-16:]]
    assert proxy.lines() and not [part for part in parts if part in proxy.logs()], "a part of a token"
