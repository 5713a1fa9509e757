"""What a caller meets behind nginx is what it would meet before it; and what only a proxy can get wrong."""

import gzip
import json
import socket
import ssl
import subprocess
import time

import pytest

from conftest import COMPANIES
from service import METHODS, MODES, ORGANISATIONS, SHIPPED as ACCESS, access_table

BODY = b'{"VirksomhedsLoginDto":{"cvrNummer":"%s"}}'
# Of the connection or the time, not of the answer.
PASSING = {"server", "date", "connection", "keep-alive", "strict-transport-security", "x-requestid", "traceparent",
           "transfer-encoding"}


def star(proxied):
    """A token that may do everything."""
    return proxied.service.token("STAR", "AlleBorgere")


def lasting(answer):
    """The headers that must be the same, but for blanks after commas, which Apache takes out of Vary."""
    return sorted((name.lower(), value.replace(", ", ",")) for name, value in answer.headers.items() if name.lower() not in PASSING)


def without_id(answer):
    """The problem but for the request id."""
    problem = answer.json()
    assert problem.pop("requestId") == answer.headers["x-requestid"]
    return problem


def assert_answers_are_those_of_the_service(proxied, ask, but_for=frozenset()):
    """What `ask` gets through a proxy is what the service answers, but for the headers of these names."""
    token = star(proxied)
    for verb, path, caller, body, headers in [
            ("GET", "/v1/Login?cvrNummer=00000002", token, None, {}),
            ("GET", "/v1/Login?cvrNummer=99999999", token, None, {}),
            ("GET", "/v1/Login?cvrNummer=1", token, None, {}),
            ("GET", "/v1/Login?cvrNummer=00000002", None, None, {}),
            # Longer than a token may be: every proxy takes the longest that the service does.
            ("GET", "/v1/Login?cvrNummer=00000002", "x" * 18_000, None, {}),
            ("HEAD", "/v1/Logins", token, None, {}),
            ("OPTIONS", "/v1/Login", None, None, {}),
            ("PUT", "/v1/Login/12345678", token, BODY % b"12345678", {}),
            ("PUT", "/v1/Login/12345678", token, b"{", {}),
            ("PUT", "/v1/Login/12345678", token, b" " * 20_000, {}),
            ("GET", "/readyz", token, None, {}),
            ("GET", "/v1/Logins", token, None, {}),
            ("GET", "/v1/Logins", token, None, {"Accept-Encoding": "gzip"}),
            ("GET", "/v1/Logins", token, None, {"Accept-Encoding": "zstd"})]:
        expected, found = proxied.direct(verb, path, caller, body, headers), ask(verb, path, caller, body, headers)
        assert found.status == expected.status, (verb, path)
        compared = [[each for each in lasting(answer) if each[0] not in but_for] for answer in (found, expected)]
        assert compared[0] == compared[1], (verb, path)
        if found.headers["content-type"] == "application/problem+json":
            assert without_id(found) == without_id(expected), (verb, path)
        else:
            assert found.body == expected.body, (verb, path)


def assert_changes_pass(proxied, ask):
    """What `ask` gets through a proxy of what changed: the service's status, headers and body, in each coding."""
    token = star(proxied)
    for coding in ["identity", "gzip", "zstd"]:
        tag = ask("HEAD", "/v1/Logins", token, None, {"Accept-Encoding": coding}).headers["etag"]
        assert tag.startswith('W/"')
        time.sleep(0.002)
        # Enough companies that a proxy which compresses by itself would do so.
        for number in range(60):
            body = BODY % b"%08d" % number
            assert proxied.direct("PUT", f"/v1/Login/{number:08}", token, body).status == 204
        headers = {"A-IM": "feed", "If-None-Match": tag, "Accept-Encoding": coding}
        expected, found = proxied.direct("GET", "/v1/Logins", token, None, headers), ask("GET", "/v1/Logins", token, None, headers)
        assert (found.status, found.headers["im"], found.body) == (226, "feed", expected.body), coding
        assert expected.headers["vary"] == "Accept-Encoding, A-IM" and ("vary", "Accept-Encoding,A-IM") in lasting(found)
        assert found.headers["content-encoding"] == (None if coding == "identity" else coding)
        assert found.headers["etag"] == expected.headers["etag"] != tag
        headers["If-None-Match"] = found.headers["etag"]
        unchanged = ask("GET", "/v1/Logins", token, None, headers)
        assert (unchanged.status, unchanged.body, unchanged.headers["etag"]) == (304, b"", found.headers["etag"])


def test_changes_are_those_of_the_service(proxied):
    assert_changes_pass(proxied, proxied.ask)


def test_every_cell_of_the_table_is_the_same(proxied):
    table = access_table(ACCESS)
    for method in METHODS:
        for organisation in ORGANISATIONS:
            for mode in MODES:
                token = proxied.service.token(organisation, mode)
                if method == "SetLogin":
                    answer = proxied.ask("PUT", "/v1/Login/00000001", token, BODY % b"00000001")
                    good = 204
                else:
                    # A HEAD of the list: its headers are the GET's, its body needs no reading.
                    verb, path = ("GET", "/v1/Login?cvrNummer=00000001") if method == "GetLogin" else ("HEAD", "/v1/Logins")
                    answer, good = proxied.ask(verb, path, token), 200
                assert answer.status == (good if mode in table[method][organisation] else 403), (method, organisation, mode)


def test_answers_and_errors_are_those_of_the_service(proxied):
    token = star(proxied)
    for verb, path, caller, body, headers in [
            ("GET", "/v1/Login?cvrNummer=00000002", token, None, {}),
            ("GET", "/v1/Login?cvrNummer=00000002", token, None, {"Accept-Encoding": "gzip"}),
            ("HEAD", "/v1/Login?cvrNummer=00000002", token, None, {}),
            ("GET", "/v1/Login?cvrNummer=99999999", token, None, {}),
            ("GET", "/v1/Login?cvrNummer=1", token, None, {}),
            ("GET", "/v1/Login", token, None, {}),
            ("GET", "/v1/Login?cvrNummer=00000002", None, None, {}),
            ("GET", "/v1/Login?cvrNummer=00000002", "x.y.z", None, {}),
            ("GET", "/v1/Login?cvrNummer=00000002", "x" * 18_000, None, {}),
            ("GET", "/v1/Login?cvrNummer=00000002", proxied.service.token("STAR", "AlleBorgere", scope="x"), None, {}),
            ("DELETE", "/v1/Logins", token, None, {}),
            ("OPTIONS", "/v1/Login", None, None, {}),
            ("OPTIONS", "/v1/Login/12345678", None, None, {}),
            ("GET", "/nowhere", token, None, {}),
            ("GET", "//v1/Logins", token, None, {}),
            ("GET", "/v1/../v1/Logins", token, None, {}),
            ("GET", "/v1/%2e%2e/v1/Logins", token, None, {}),
            ("PUT", "/v1/Login{12345678}", token, BODY % b"12345678", {}),
            ("PUT", "/v1/Login/12345678", token, b"{", {}),
            ("PUT", "/v1/Login/12345678", token, b"", {}),
            ("PUT", "/v1/Login/12345678", token, BODY % b"87654321", {}),
            ("PUT", "/v1/Login/12345678", token, b" " * 20_000, {}),
            ("PUT", "/v1/Login/12345678", token, BODY % b"12345678", {"Content-Type": "text/plain"}),
            ("GET", "/readyz", token, None, {}),
            ("GET", "/metrics", token, None, {}),
            ("GET", "/openapi.json", None, None, {})]:
        expected, found = proxied.direct(verb, path, caller, body, headers), proxied.ask(verb, path, caller, body, headers)
        assert (found.status, lasting(found)) == (expected.status, lasting(expected)), (verb, path)
        if found.headers["content-type"] == "application/problem+json" and verb != "HEAD":
            assert without_id(found) == without_id(expected), (verb, path)
        else:
            assert found.body == expected.body, (verb, path)


def test_a_login_is_recorded_and_read_with_its_request_id(proxied):
    token = star(proxied)
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = proxied.ask("PUT", "/v1/Login/77777777", token, BODY % b"77777777",
                      {"x-requestId": "abc-1", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    assert (answer.status, answer.headers["x-requestid"]) == (204, "abc-1")
    assert json.loads(proxied.audit()[-1])["requestId"] == "abc-1"
    assert json.loads(proxied.audit()[-1])["traceId"] == trace == answer.headers["traceparent"].split("-")[1]
    assert proxied.ask("GET", "/v1/Login?cvrNummer=77777777", token).status == 200
    line = (proxied.home / "virksomhedslogin.log").read_text().splitlines()
    assert any(json.loads(each)["requestId"] == "abc-1" and json.loads(each)["remote"] == "127.0.0.1" for each in line)


@pytest.mark.parametrize("coding", ["identity", "gzip", "zstd"])
def test_the_list_is_the_same_byte_for_byte(proxied, coding):
    token, headers = star(proxied), {"Accept-Encoding": coding}
    expected, found = proxied.direct("GET", "/v1/Logins", token, headers=headers), proxied.ask("GET", "/v1/Logins", token, headers=headers)
    assert found.status == 200 and lasting(found) == lasting(expected)
    assert found.body == expected.body and len(found.body) > 500_000
    plain = {"identity": lambda body: body, "gzip": gzip.decompress, "zstd": unzstd}[coding](found.body)
    assert len(json.loads(plain)["virksomheder"]) >= COMPANIES
    again = proxied.ask("GET", "/v1/Logins", token, headers={**headers, "If-None-Match": found.headers["etag"]})
    assert (again.status, again.body) == (304, b"") and again.headers["etag"] == found.headers["etag"]
    head = proxied.ask("HEAD", "/v1/Logins", token, headers=headers)
    assert (head.status, head.body, head.headers["etag"]) == (200, b"", found.headers["etag"])


def unzstd(body):
    """What a zstd that is not ours makes of it."""
    return subprocess.run(["zstd", "-dc"], input=body, capture_output=True, check=True).stdout


def test_slow_readers_of_the_list_cost_little_memory_no_disk_and_nobody_elses_time(proxied):
    token = star(proxied)
    whole = len(proxied.ask("GET", "/v1/Logins", token).body)
    before = proxied.resident()
    request = f"GET /v1/Logins HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
    readers, received, took = [], [], []
    for _ in range(40):
        stream = proxied.connect()
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        began = time.monotonic()
        stream.sendall(request.encode())
        received.append(len(stream.recv(16384)))
        took.append(time.monotonic() - began)
        readers.append(stream)
    assert sorted(took)[len(took) // 2] < 1 and max(took) < 10, f"the first bytes do not wait for the last: {took}"
    time.sleep(1)
    held = {name: size - before[name] for name, size in proxied.resident().items()}
    assert held["nginx"] < 20_000_000 and held["service"] < 40_000_000, held
    assert not proxied.temporary_files(), "nothing of the list is on nginx's disk"
    took = []
    for _ in range(20):
        began = time.monotonic()
        assert proxied.ask("GET", "/v1/Login?cvrNummer=00000003", token).status == 200
        took.append(time.monotonic() - began)
    assert sorted(took)[len(took) // 2] < 1 and max(took) < 10, took
    # They read on, and get all of it.
    while chunk := readers[0].recv(1 << 20):
        received[0] += len(chunk)
    assert received[0] > whole
    for stream in readers:
        stream.close()


AMBIGUOUS = {
    "length and chunked": "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and length": "Transfer-Encoding: chunked\r\nContent-Length: 900\r\n\r\n0\r\n\r\n",
    "two lengths": "Content-Length: 0\r\nContent-Length: 900\r\n\r\n",
    "list of lengths": "Content-Length: 0, 900\r\n\r\n",
    "length with a sign": "Content-Length: +900\r\n\r\n",
    "length in hexadecimal": "Content-Length: 0x10\r\n\r\n",
    "negative length": "Content-Length: -1\r\n\r\n",
    "unknown coding": "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "two codings": "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "chunked, then identity": "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "tab before the coding": "Transfer-Encoding:\tchunked, gzip\r\n\r\n0\r\n\r\n",
    "bad chunk size": "Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    "chunk size that overflows": "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff1\r\nx\r\n0\r\n\r\n",
    "chunk longer than it says": "Transfer-Encoding: chunked\r\n\r\n1\r\nxyz\r\n0\r\n\r\n",
    "NUL in a header": "X-A: a\0b\r\nContent-Length: 0\r\n\r\n",
    "bare CR in a header": "X-A: a\rContent-Length: 900\r\n\r\n",
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_a_request_that_could_be_read_in_two_ways_smuggles_nothing(proxied, name):
    token = star(proxied)
    lines = len(proxied.audit())
    head = f"GET /v1/Login?cvrNummer=00000001 HTTP/1.1\r\nHost: localhost\r\n{AMBIGUOUS[name]}"
    # Says which one was answered, should it be: the hidden request would be let in.
    body = (BODY % b"99999990").decode()
    hidden = (f"PUT /v1/Login/99999990 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n"
              f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}")
    answer = proxied.raw((head + hidden).encode("latin-1"))
    statuses = [line.split()[1] for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    new = [json.loads(line) for line in proxied.audit()[lines:]]
    # Refused, and then the connection is closed; or read in the one way that the RFC allows, both by nginx and behind it.
    assert 1 <= len(statuses) <= 2, answer
    methods = [line["metode"] for line in new]
    if len(statuses) == 1:
        assert methods in ([], ["GetLogin"]), new
        assert statuses[0] in (b"400", b"401", b"501", b"503"), answer
    else:
        assert statuses == [b"401", b"204"] and methods == ["GetLogin", "SetLogin"], (statuses, new)


@pytest.mark.parametrize("target", ["*", "/v1/Login/%00", "/\0", "http://other.example/v1/Logins", "v1/Logins", "/v1/Logins HTTP/1.1 x"])
def test_odd_targets_get_one_answer(proxied, target):
    answer = proxied.raw(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode("latin-1"))
    assert answer.count(b"HTTP/1.1 ") == 1, answer
    # The absolute form is the same request, and no caller is let in without a token.
    assert answer.startswith(b"HTTP/1.1 401 " if target.startswith("http://other") else b"HTTP/1.1 400 "), answer


def test_what_nginx_refuses_itself_is_a_problem_as_the_contract_prints_it(proxied):
    token = star(proxied)
    for status, code, answer in [
            (413, "1014", proxied.ask("PUT", "/v1/Login/12345678", token, b" " * 70_000)),
            (400, "1014", proxied.ask("GET", "/v1/Logins", "x" * 30_000)),
            (414, "1014", proxied.ask("GET", "/" + "x" * 30_000))]:
        assert answer.status == status and answer.headers["content-type"] == "application/problem+json"
        problem = without_id(answer)
        assert (problem["status"], problem["fejlkode"], "fejl" in problem) == (status, code, status == 400)
        assert answer.headers["strict-transport-security"], "also there"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_only_new_tls_is_spoken_and_callers_are_told_to_stay_with_it(proxied):
    assert proxied.ask("GET", "/v1/Logins").headers["strict-transport-security"] == "max-age=31536000"
    for version, spoken in [(ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
        plain = socket.create_connection(("127.0.0.1", proxied.port), timeout=10)
        try:
            with context.wrap_socket(plain) as stream:
                assert spoken, stream.version()
        except ssl.SSLError:
            assert not spoken, version
    plain = socket.create_connection(("127.0.0.1", proxied.port), timeout=10)
    plain.sendall(b"GET /v1/Logins HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert plain.recv(4096).startswith(b"HTTP/1.1 400 "), "plain HTTP gets no answer of the service"


def test_y_an_address_that_calls_without_a_token_is_limited_and_leaves_a_bounded_log(proxied):
    def log():
        return (proxied.home / "virksomhedslogin.log").read_text().count("\n")

    before = log()
    request = b"GET /v1/Logins HTTP/1.1\r\nHost: localhost\r\n\r\n"
    last = request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    answers = proxied.raw(request * 600 + last)
    refused, limited = answers.count(b"HTTP/1.1 401 "), answers.count(b"HTTP/1.1 429 ")
    assert refused + limited == 601 and limited > 200, (refused, limited)
    assert proxied.ask("GET", "/v1/Login?cvrNummer=00000001", star(proxied)).status == 200, "with a token, from the same address"
    # The bucket fills meanwhile.
    for _ in range(400):
        answer = proxied.ask("GET", "/v1/Logins")
        if answer.status == 429:
            break
        refused += 1
    assert (answer.status, answer.headers["retry-after"]) == (429, "1")
    assert without_id(answer)["fejlkode"] == "1100"
    time.sleep(0.3)
    assert log() - before <= refused + 1, "what nginx refuses leaves no line"
    assert "limiting requests" not in (proxied.home / "virksomhedslogin-error.log").read_text()


def test_z_while_the_service_is_away_callers_are_told_and_no_log_has_a_token(proxied):
    token = star(proxied)
    proxied.stop_service()
    answer = proxied.ask("GET", "/v1/Login?cvrNummer=00000001", token)
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert without_id(answer)["fejlkode"] == "1100"
    proxied.start_service()
    assert proxied.ask("GET", "/v1/Login?cvrNummer=00000001", token).status == 200
    proxied.ask("GET", f"/v1/Login?access_token={token}")
    proxied.ask("GET", f"/{token}")
    time.sleep(0.3)
    parts = [part[:16] for part in token.split(".")] + [token[-16:]]
    access = (proxied.home / "virksomhedslogin.log").read_text()
    errors = "".join(file.read_text() for file in proxied.home.glob("*error.log"))
    assert '"status":503' in access and "connect() to unix:" in errors, "both logs are written to"
    for text in [access, errors, (proxied.directory / "service.log").read_text(errors="replace")]:
        assert not [part for part in parts if part in text], "a part of a token"
