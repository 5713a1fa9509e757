"""The service on a Unix socket, a register large enough to be a stream, and nginx before it as shipped."""

import http.client
import os
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from proxies import PROXIES, Nginx, send, socket_directory
from service import Service

COMPANIES = 200_000


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(str(self.path))


class Proxied:
    """Both processes, and requests to either."""

    def __init__(self, binary, directory, sockets):
        self.binary, self.directory, self.socket = binary, directory, sockets / "api.sock"
        socket_directory(sockets)
        self.home = directory / "nginx"
        self.certificate, self.key = directory / "cert.pem", directory / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                        "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", self.key, "-out",
                        self.certificate], check=True, capture_output=True)
        self.context = ssl.create_default_context(cafile=self.certificate)
        self.service = Service(binary, directory, listen=f"unix:{self.socket}", server='trusted_proxies = ["unix"]')
        self.service.stop()
        rows = directory / "rows.csv"
        with open(rows, "w", encoding="utf-8") as file:
            file.write("cvrNummer,tidligsteLoginTidspunkt,senesteLogintidspunkt\n")
            for number in range(COMPANIES):
                file.write(f"{number:08},2025-01-01T00:00:00.000Z,2026-01-01T00:00:00.{number % 1000:03}Z\n")
        subprocess.run([binary, "import", "--config", directory / "virksomhedslogin.toml", rows], check=True,
                       capture_output=True)
        self.start_service()
        self.nginx = Nginx(self, self.home)
        self.port, self.ask, self.connect, self.raw = self.nginx.port, self.nginx.ask, self.nginx.connect, self.nginx.raw

    def start_service(self):
        """The service again, on the same directory and with the key that signs the tokens."""
        with open(self.directory / "service.log", "ab") as log:
            self.process = subprocess.Popen([self.binary, "serve", "--config", self.directory / "virksomhedslogin.toml"],
                                            stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                self.direct("GET", "/v1/Login")
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError("the service does not answer")

    def stop_service(self):
        """Ends the service."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0

    def stop(self):
        """Ends both."""
        self.nginx.stop()
        self.stop_service()

    def direct(self, verb, path, token=None, body=None, headers=None):
        """A request to the service itself."""
        return send(UnixConnection(self.socket), verb, path, token, body, headers)

    def audit(self):
        """The lines of the audit log."""
        return (self.directory / "audit.ndjson").read_text(encoding="utf-8").splitlines()

    def workers(self):
        """The process ids of nginx's workers."""
        return subprocess.run(["pgrep", "-P", str(self.nginx.process.pid)], capture_output=True, text=True,
                              check=True).stdout.split()

    def temporary_files(self):
        """The files that nginx's workers have put answers into; it unlinks them as soon as they are open."""
        opened = [os.readlink(file) for pid in self.workers() for file in Path(f"/proc/{pid}/fd").iterdir()]
        return [name for name in opened if name.startswith(f"{self.home}/proxy")]

    def resident(self):
        """Bytes of memory that nginx's workers and the service hold."""
        return {name: sum(rss(pid) for pid in pids)
                for name, pids in [("nginx", self.workers()), ("service", [self.process.pid])]}


def rss(pid):
    """Resident memory of a process in bytes."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmRSS"))


@pytest.fixture(scope="session")
def proxied(binary, tmp_path_factory):
    """One for the whole run."""
    # pytest's own directories are closed to the user that Apache changes to.
    with tempfile.TemporaryDirectory() as sockets:
        running = Proxied(binary, tmp_path_factory.mktemp("proxy"), Path(sockets))
        yield running
        running.stop()


@pytest.fixture(scope="module", params=PROXIES)
def proxy(proxied, tmp_path_factory, request):
    """Each of the four as shipped, one after the other, for the tests of a file."""
    with PROXIES[request.param](proxied, tmp_path_factory.mktemp(request.param)) as running:
        yield running
