"""The authority, the issuers, and the service that has its keys from them."""

import http.client
import json
import signal
import ssl
import subprocess
import time
import urllib.parse

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from service import Service, fetch, free_port

# The shortest times that the configuration allows: keys are fetched every four to five seconds and serve for ten.
TIMES = "jwks_refresh_seconds = 10\njwks_max_stale_seconds = 10\n"


def new_key(kind, kid, **members):
    """A new private signing key as a JWK."""
    made, algorithm = {
        "RSA": (lambda: rsa.generate_private_key(65537, 2048), jwt.algorithms.RSAAlgorithm),
        "P-256": (lambda: ec.generate_private_key(ec.SECP256R1()), jwt.algorithms.ECAlgorithm),
        "P-384": (lambda: ec.generate_private_key(ec.SECP384R1()), jwt.algorithms.ECAlgorithm),
        "P-521": (lambda: ec.generate_private_key(ec.SECP521R1()), jwt.algorithms.ECAlgorithm),
        "Ed25519": (ed25519.Ed25519PrivateKey.generate, jwt.algorithms.OKPAlgorithm),
    }[kind]
    key = algorithm.to_jwk(made(), as_dict=True)
    key.pop("key_ops", None)
    return {**key, "kid": kid, "use": "sig", **members}


class Authority:
    """A private authority, which the service knows by its file alone."""

    def __init__(self, directory):
        self.directory, self.file = directory, directory / "ca.pem"
        self.make("ca", "CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
        self.sign("localhost")

    def make(self, name, constraint, *more):
        """A key and a certificate in the files of this name."""
        subprocess.run(["openssl", "req", "-x509", "-config", "/dev/null", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext",
                        f"basicConstraints=critical,{constraint}", *more, "-keyout", self.directory / f"{name}.key",
                        "-out", self.directory / f"{name}.pem"], check=True, capture_output=True)

    def sign(self, name):
        """Certificate and key of this name."""
        self.make(name, "CA:FALSE", "-CA", self.file, "-CAkey", self.directory / "ca.key", "-addext",
                  f"subjectAltName=DNS:{name}")
        return self.directory / f"{name}.pem", self.directory / f"{name}.key"


class Issuer:
    """A process that issues tokens over TLS; its kind has the command that starts it."""

    def __init__(self, authority, directory):
        self.authority, self.directory, self.port = authority, directory, free_port()
        self.certificate = [authority.directory / f"localhost.{end}" for end in ["pem", "key"]]
        self.process = None

    def start(self):
        """Starts it, again after `stop`, and waits until it answers."""
        with open(self.directory / "issuer.log", "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while True:
            try:
                return self.ask("GET", "/")
            except ConnectionError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    self.stop()
                    raise AssertionError(self.log()) from None
                time.sleep(0.02)

    def stop(self):
        """Ends it, if it runs."""
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)
            self.process = None

    def log(self):
        """The end of what it has logged."""
        return (self.directory / "issuer.log").read_text(errors="replace")[-2000:]

    def ask(self, verb, path, body=None, headers=None, certificate=None):
        """Status, headers and text of an answer."""
        context = ssl.create_default_context(cafile=self.authority.file)
        if certificate:
            context.load_cert_chain(*certificate)
        connection = http.client.HTTPSConnection("localhost", self.port, timeout=30, context=context)
        try:
            connection.request(verb, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        finally:
            connection.close()

    def grant(self, path, certificate=None, headers=None, **form):
        """The access token that this form gets at the token endpoint."""
        headers = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        status, _, text = self.ask("POST", path, urllib.parse.urlencode(form), headers, certificate)
        assert status == 200, (status, text, self.log())
        return json.loads(text)["access_token"]


class Relying:
    """The service with the keys of an issuer."""

    def __init__(self, binary, directory, token, **options):
        self.binary = binary
        self.service = Service(binary, directory, token=token, **options)

    def statuses(self, token):
        """What SetLogin, GetLogin and GetLogins answer."""
        return [self.service.call(method, token).status for method in ["SetLogin", "GetLogin", "GetLogins"]]

    def explain(self, token, method="GetLogin"):
        """Exit code and text of `explain --token`."""
        command = [self.binary, "explain", "--config", self.service.command[-1], "--method", method, "--token", "-"]
        done = subprocess.run(command, input=token, text=True, capture_output=True, timeout=60)
        return done.returncode, done.stdout + done.stderr

    def log(self):
        """What it has logged."""
        return self.service.log.read_text(encoding="utf-8", errors="replace")

    def management(self, path):
        """Status and text of a path of the management listener."""
        answer = fetch(int(self.service.management.rpartition(":")[2]), "GET", path)
        return answer.status, answer.body.decode()

    def ready(self):
        """Whether `/readyz` says so."""
        return self.management("/readyz")[0] == 200

    def metric(self, name):
        """A metric without labels."""
        lines = self.management("/metrics")[1].splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"virksomhedslogin_{name} "))

    def wait(self, seconds, reached):
        """Waits until `reached()` holds."""
        deadline = time.monotonic() + seconds
        while not reached():
            assert time.monotonic() < deadline, self.log()[-3000:]
            time.sleep(0.05)


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """One for the whole run."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def relying(binary, tmp_path_factory):
    """Starts a service with this `[token]`, and ends it after the test."""
    started = []

    def start(token, **options):
        started.append(Relying(binary, tmp_path_factory.mktemp("service"), token, **options))
        return started[-1]

    yield start
    for one in started:
        one.service.stop()
