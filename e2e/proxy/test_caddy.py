"""Caddy before the service, as shipped: valid, formatted, and the same answers."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import time

import pytest

from service import ROOT, free_port
from test_nginx import assert_answers_are_those_of_the_service, assert_changes_pass, star

SHIPPED = ROOT / "deploy" / "caddy" / "Caddyfile"


@contextlib.contextmanager
def running(proxied, home, edit=lambda text: text):
    """The port of a Caddy before the service of `proxied`: as shipped, but for this machine's places and what `edit` makes of it."""
    home.mkdir(exist_ok=True)
    port = free_port()
    text = edit(SHIPPED.read_text(encoding="utf-8"))
    tls = f"\ttls {proxied.certificate} {proxied.key}"
    if "\n\ttls {\n" in text:
        text, tls = text.replace("\ttls {\n", f"{tls} {{\n"), ""
    for shipped, here in [("login.example.dk {", f"localhost:{port} {{\n{tls}"),
                          ("/var/log/caddy", str(home)), ("/run/virksomhedslogin/api.sock", str(proxied.socket))]:
        assert shipped in text, shipped
        text = text.replace(shipped, here)
    (home / "Caddyfile").write_text(text, encoding="utf-8")
    with open(home / "caddy.log", "wb") as log:
        process = subprocess.Popen(["caddy", "run", "--adapter", "caddyfile", "--config", home / "Caddyfile"], stdout=log,
                                   stderr=log, env={**os.environ, "HOME": str(home), "XDG_DATA_HOME": str(home),
                                                    "XDG_CONFIG_HOME": str(home)})
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                assert time.monotonic() < deadline and process.poll() is None, (home / "caddy.log").read_text()
                time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def caddy(proxied):
    """The port of one for this file."""
    with running(proxied, proxied.directory / "caddy") as port:
        yield port


def ask(proxied, port, verb, path, token=None, body=None, headers=None):
    """A request through Caddy."""
    return proxied.send(http.client.HTTPSConnection("localhost", port, timeout=30, context=proxied.context), verb, path, token,
                     body, headers)


def test_the_shipped_file_is_formatted():
    subprocess.run(["caddy", "fmt", "--diff", SHIPPED], check=True, capture_output=True)
    assert subprocess.run(["caddy", "fmt", SHIPPED], capture_output=True, text=True).stdout == SHIPPED.read_text(encoding="utf-8")


def test_answers_are_those_of_the_service(proxied, caddy):
    # Caddy sends the length of an answer that is shorter than its buffer, where the service streams it.
    assert_answers_are_those_of_the_service(proxied, lambda *call: ask(proxied, caddy, *call), {"content-length"})


def test_changes_are_those_of_the_service(proxied, caddy):
    assert_changes_pass(proxied, lambda *call: ask(proxied, caddy, *call))


def test_no_log_has_a_token_and_an_absent_service_is_told(proxied, caddy):
    token = star(proxied)
    proxied.stop_service()
    answer = ask(proxied, caddy, "GET", "/v1/Login?cvrNummer=00000001", token)
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["fejlkode"] == "1100" and answer.headers["content-type"] == "application/problem+json"
    proxied.start_service()
    ask(proxied, caddy, "GET", f"/v1/Login?access_token={token}")
    ask(proxied, caddy, "GET", f"/{token}")
    time.sleep(0.3)
    home = proxied.directory / "caddy"
    access = (home / "virksomhedslogin.log").read_text()
    assert json.loads(access.splitlines()[-1])["status"] in (401, 404)
    parts = [part[:16] for part in token.split(".")] + [token[-16:]]
    for text in [access, (home / "caddy.log").read_text()]:
        assert not [part for part in parts if part in text], "a part of a token"
