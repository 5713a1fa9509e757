"""What is Apache's own: the answers that it makes before it has a request, in HTTP/1.1 and 2."""

import email
import json
import subprocess

import pytest

from proxies import Apache
from service import Answer
from test_every_proxy import assert_problem


@pytest.fixture(scope="module")
def apache(proxied, tmp_path_factory):
    """One for this file."""
    with Apache(proxied, tmp_path_factory.mktemp("apache")) as running:
        yield running


def curl(proxied, *options):
    """An answer to curl, which speaks HTTP/2."""
    done = subprocess.run(["curl", "-s", "-i", "--max-time", "20", "--cacert", proxied.certificate, *options], capture_output=True, check=True)
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    start, _, fields = head.partition(b"\r\n")
    return Answer(int(start.split()[1]), email.message_from_bytes(fields), body)


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
@pytest.mark.parametrize("status, path, header", [(400, "/%zz", "A: b"), (404, "/%00", "A: b"), (414, f"/{'x' * 30_000}", "A: b"),
                                                  (417, "/", "Expect: something"), ("4x", "/", f"Authorization: {'x' * 30_000}")])
def test_what_it_refuses_itself_is_a_problem(proxied, apache, version, status, path, header):
    answer = curl(proxied, version, "-H", header, f"https://localhost:{apache.port}{path}")
    # A header that is too large has its own status in HTTP/2 alone.
    assert_problem(apache, answer, {"4x": 400 if version == "--http1.1" else 431}.get(status, status), "1014")


def test_plain_http_is_a_problem_too(proxied, apache):
    answer = curl(proxied, f"http://localhost:{apache.port}/v1/Logins")
    assert_problem(apache, answer, 400, "1014")


def test_the_documentation_is_not_compressed_by_it(proxied, apache):
    headers = {"Accept-Encoding": "gzip"}
    expected, found = proxied.direct("GET", "/openapi.json", headers=headers), apache.ask("GET", "/openapi.json", headers=headers)
    assert (found.headers["etag"], found.headers["content-encoding"], found.body) == (
        expected.headers["etag"], expected.headers["content-encoding"], expected.body)
    assert json.loads(apache.ask("GET", "/openapi.json").body)
