"""The service as a process of its own, with a key that the tests sign tokens with.

Nothing here knows how the service is made: it is started from its binary with a configuration, and asked over HTTP.
Whatever is started here is ended by its own process id when the tests end.
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = (ROOT / "config" / "access.toml").read_text(encoding="utf-8")
ISSUER, AUDIENCE, KEY = "https://sts.live.invalid", "virksomhedslogin-live", "live"
READ, WRITE = "virksomhedsinstats.login.read", "virksomhedsinstats.login.write"
START_SECONDS, STOP_SECONDS = 30, 15

# The contract's words, in its order, written out here so that the service is not asked what it should be.
METHODS = ["GetLogin", "SetLogin", "GetLogins"]
ORGANISATIONS = ["A-kasse", "JobCenter", "STAR"]
MODES = {
    "AlleBorgere": "Alle borgere",
    "EgneBorgere": "Egne borgere",
    "TidligereEgneBorgere": "Tidligere egne borgere",
    "Gaesteadgang": "Gæsteadgang",
    "AndenAktoerEgneBorgere": "Anden Aktør - egne borgere",
    "AndenAktoerGaesteadgang": "Anden Aktør - gæsteadgang",
    "AndenAktoerAlleBorgere": "Anden Aktør - alle borgere",
    "SystemAlleBorgere": "System - alle borgere",
}


def access_table(text):
    """The table of access of this TOML: method → organisation type → set of access modes, nothing left out."""
    table = tomllib.loads(text)
    return {method: {row: set(table.get(method, {}).get(row, [])) for row in ORGANISATIONS} for method in METHODS}


@dataclass
class Answer:
    """An answer of the service."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self):
        """The body as JSON."""
        return json.loads(self.body)


class Service:
    """A running service with a store of its own."""

    # Open files that the process is given.
    descriptors = ()

    def __init__(self, binary, directory, access=SHIPPED, listen="127.0.0.1", jwks="file:jwks.json", token=None, server="", more="", ready=200,
                 store='path = "store"', key=None):
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.management = f"127.0.0.1:{free_port()}"
        if not listen.startswith("unix:"):
            self.port = free_port()
            self.base = f"http://{listen}:{self.port}"
            listen = f"{listen}:{self.port}"
        self.access = directory / "access.toml"
        self.access.write_text(access, encoding="utf-8")
        public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key()))
        keys = {"keys": [{**public, "kid": KEY, "alg": "ES256", "use": "sig"}]}
        (directory / "jwks.json").write_text(json.dumps(keys), encoding="utf-8")
        own = f'[token]\nissuer = "{ISSUER}"\naudience = "{AUDIENCE}"\njwks = "{jwks}"\nalgorithms = ["ES256"]'
        config = directory / "virksomhedslogin.toml"
        config.write_text(f"""[server]
listen = "{listen}"
management = "{self.management}"
shutdown_timeout_seconds = 2
{server}
[store]
{store}
{token or own}
[access]
file = "access.toml"
[audit]
file = "audit.ndjson"
{more}""", encoding="utf-8")
        self.log = directory / "service.log"
        self.command = [str(binary), "serve", "--config", str(config)]
        self.environment = {key: value for key, value in os.environ.items()
                            if key != "RUST_LOG" and not key.startswith("VIRKSOMHEDSLOGIN")}
        # Tests make thousands of calls without a token.
        self.environment["VIRKSOMHEDSLOGIN__LIMITS__REFUSED_PER_SECOND"] = "0"
        # It notifies its service manager when it serves, and when a reload is done.
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.environment["NOTIFY_SOCKET"] = str(directory / "notify")
        self.manager.bind(self.environment["NOTIFY_SOCKET"])
        self.manager.setblocking(False)
        self.start(ready)

    def start(self, ready=200):
        """Starts it, again after `stop`, and waits until `/readyz` has this status."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=self.environment, pass_fds=self.descriptors)
        try:
            self.notified()
            self.wait(lambda: self.ask_management("/readyz") == ready)
        except BaseException:
            self.stop()
            raise

    def stop(self):
        """Ends the service and reports when it did not end well."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        if code != 0:
            raise AssertionError(f"the service ended with {code}: {self.log.read_text(errors='replace')[-2000:]}")

    def notified(self):
        """Waits until the service has reported to its manager that it is ready."""
        def ready():
            try:
                return b"READY=1" in self.manager.recv(4096).splitlines()
            except BlockingIOError:
                return False
        self.wait(ready)

    def wait(self, ready):
        """Waits until `ready()` holds; an error when the service ends or time is up."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            if ready():
                return
            time.sleep(0.02)
        raise AssertionError(f"the service did not get there: {self.log.read_text(errors='replace')[-2000:]}")

    def ask_management(self, path):
        """The status of a path of the management listener."""
        return fetch(int(self.management.rpartition(":")[2]), "GET", path).status

    def reload(self, access):
        """Puts another table of access into force."""
        self.access.write_text(access, encoding="utf-8")
        self.process.send_signal(signal.SIGHUP)
        self.notified()

    def token(self, organisation, *modes, scope=f"{READ} {WRITE}", **claims):
        """A token of this organisation type in these access modes; `claims` are set over those it would have."""
        now = int(time.time())
        content = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 3600, "sub": "live", "client_id": "live",
                   "scope": scope, "organisationType": organisation, "organisationCode": "101",
                   "adgang": modes[0] if len(modes) == 1 else list(modes), **claims}
        return jwt.encode(content, self.key, algorithm="ES256", headers={"kid": KEY})

    def ask(self, verb, path, token=None, body=None, headers=None):
        """One request."""
        headers = dict(headers or {})
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(body).encode()
        return fetch(self.port, verb, path, body, headers)

    def call(self, method, token, number="12345678"):
        """A call of this method about this company."""
        if method == "SetLogin":
            return self.ask("PUT", f"/v1/Login/{number}", token, {"VirksomhedsLoginDto": {"cvrNummer": number}})
        return self.ask("GET", f"/v1/Login?cvrNummer={number}" if method == "GetLogin" else "/v1/Logins", token)


def free_port():
    """A loopback port on which nothing listens now."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def fetch(port, verb, path, body=None, headers=None):
    """One request to loopback on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(verb, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()
