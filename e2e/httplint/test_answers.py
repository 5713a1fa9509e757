"""httplint reads an answer of every kind and has nothing to complain of but what is listed here with its reason."""

import json
import re

import pytest

from exchange import complaints, exchange
from service import READ, Service

# What httplint says of our answers and we leave as it is: the name of its note, the status, and why.
ACCEPTED = {
    ("STATUS_BAD_REQUEST", 400): "said of every 400; the body names each field and what is wrong with it",
    ("REQUEST_HDR_IN_RESPONSE", 415): "Accept and Accept-Encoding in an answer say what would have been taken "
                                      "(RFC 9110 §12.5.1, §12.5.3, §15.5.16)",
}

NUMBER = "12345678"
ONE, LIST, WRITE = f"/v1/Login?cvrNummer={NUMBER}", "/v1/Logins", f"/v1/Login/{NUMBER}"
BODY = json.dumps({"VirksomhedsLoginDto": {"cvrNummer": NUMBER}}).encode()
JSON = ("Content-Type", "application/json")
CODINGS = ["identity", "gzip", "zstd"]
seen = set()


def bearer(token):
    """The header with this token."""
    return ("Authorization", f"Bearer {token}")


def held(made, status):
    """Holds the answer to its status, and to httplint but for what is accepted."""
    assert made.status == status, made
    found = {(name, status): message for name, message in complaints(made).items()}
    seen.update(found)
    assert not {message for name, message in found.items() if name not in ACCEPTED}, made
    return made


def header(made, name):
    """The value of a header."""
    return next(value for key, value in made.headers if key.lower() == name)


@pytest.fixture(scope="module")
def star(service):
    """The header of a caller who may do everything; the register knows a company."""
    token = bearer(service.token("STAR", "AlleBorgere"))
    held(exchange(service.port, "PUT", WRITE, [token, JSON], BODY), 204)
    return token


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("verb", ["GET", "HEAD"])
@pytest.mark.parametrize("path", [ONE, LIST])
def test_reads(service, star, path, verb, coding):
    accept = ("Accept-Encoding", coding)
    read = held(exchange(service.port, verb, path, [star, accept]), 200)
    tag = ("If-None-Match", header(read, "etag"))
    held(exchange(service.port, verb, path, [star, accept, tag]), 304)
    held(exchange(service.port, verb, path, [star, accept, ("If-Match", '"x"')]), 412)


@pytest.mark.parametrize("status, verb, path, headers, body", [
    (400, "GET", "/v1/Login?cvrNummer=x", [], b""),
    (400, "PUT", WRITE, [JSON], b"{"),
    (400, "GET", "/v1/Logins?access_token=x", [], b""),
    (404, "GET", "/v1/Login?cvrNummer=00000000", [], b""),
    (404, "GET", "/v2/Login", [], b""),
    (405, "DELETE", LIST, [], b""),
    (405, "GET", WRITE, [], b""),
    (412, "PUT", WRITE, [JSON, ("If-Match", '"x"')], BODY),
    (413, "PUT", WRITE, [JSON], b" " * 17000),
    (415, "PUT", WRITE, [("Content-Type", "text/plain")], BODY),
    (415, "PUT", WRITE, [JSON, ("Content-Encoding", "gzip")], BODY),
])
def test_errors_of_a_request(service, star, status, verb, path, headers, body):
    held(exchange(service.port, verb, path, [star, *headers], body), status)


def test_callers_without_access(service):
    for headers in [[], [bearer("x.y.z")], [("Authorization", "Basic eDp5")]]:
        held(exchange(service.port, "GET", LIST, headers), 401)
    reader = bearer(service.token("STAR", "AlleBorgere", scope=READ))
    held(exchange(service.port, "PUT", WRITE, [reader, JSON], BODY), 403)
    other = bearer(service.token("Kommune", "AlleBorgere"))
    held(exchange(service.port, "GET", LIST, [other]), 403)


@pytest.mark.parametrize("path", ["*", ONE, LIST, WRITE, "/", "/openapi.json", "/swagger/"])
def test_options(service, path):
    held(exchange(service.port, "OPTIONS", path), 204)


@pytest.mark.parametrize("verb", ["GET", "HEAD"])
def test_documentation(service, verb):
    page = held(exchange(service.port, "GET", "/"), 200).content.decode()
    style = re.search(r"/assets/[^\"]+", page)[0]
    for language in ["da", "en"]:
        held(exchange(service.port, verb, "/", [("Accept-Language", language)]), 200)
    for coding in CODINGS:
        for path in ["/", "/openapi.json", "/swagger/", "/swagger/swagger-ui.css", "/swagger/swagger-ui-bundle.js"]:
            accept = ("Accept-Encoding", coding)
            tag = header(held(exchange(service.port, verb, path, [accept]), 200), "etag")
            held(exchange(service.port, verb, path, [accept, ("If-None-Match", tag)]), 304)
            held(exchange(service.port, verb, path, [accept, ("If-Match", '"x"')]), 412)
    held(exchange(service.port, verb, style), 200)
    held(exchange(service.port, verb, "/swagger"), 308)
    held(exchange(service.port, verb, "/swagger/x"), 404)
    held(exchange(service.port, "PUT", "/", [JSON], b"{}"), 405)


@pytest.mark.parametrize("verb", ["GET", "HEAD"])
def test_management(service, star, verb):
    port = int(service.management.rpartition(":")[2])
    for path in ["/livez", "/readyz", "/metrics", "/export"]:
        held(exchange(port, verb, path), 200)
    held(exchange(port, verb, "/x"), 404)
    held(exchange(port, "DELETE", "/export"), 405)
    held(exchange(port, "OPTIONS", "/export"), 204)


def test_answers_of_a_service_that_cannot(binary, tmp_path):
    limits = "[limits]\nrequests_per_second = 1\nburst = 1\nrequest_timeout_seconds = 1\n"
    service = Service(binary, tmp_path, more=limits)
    try:
        star = bearer(service.token("STAR", "AlleBorgere"))
        held(exchange(service.port, "PUT", WRITE, [star, JSON], b"{", length=48), 408)
        # Each takes one of the bucket, which has one a second.
        made = (exchange(service.port, "GET", LIST, [star]) for _ in range(50))
        held(next(answer for answer in made if answer.status == 429), 429)
    finally:
        service.stop()


def test_answers_of_a_service_without_keys(binary, tmp_path):
    service = Service(binary, tmp_path, jwks="http://127.0.0.1:1/keys", ready=503)
    try:
        star = bearer(service.token("STAR", "AlleBorgere"))
        held(exchange(service.port, "GET", LIST, [star]), 503)
        held(exchange(int(service.management.rpartition(":")[2]), "GET", "/readyz"), 503)
    finally:
        service.stop()


def test_it_sees_what_is_wrong(service, star):
    read = exchange(service.port, "GET", LIST, [star])
    assert not complaints(read)
    for name, value in [("etag", "x"), ("last-modified", "yesterday"), ("content-type", "json"), ("vary", "a b"),
                        ("content-length", "3"), ("cache-control", "max-age=x")]:
        headers = [line for line in read.headers if line[0].lower() != name] + [(name, value)]
        wrong = type(read)(**{**vars(read), "headers": headers})
        assert complaints(wrong), name


def test_nothing_is_accepted_that_is_not_said():
    """Comes last: the answers have all been read."""
    assert set(ACCEPTED) == seen
