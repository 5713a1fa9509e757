"""The service on a Unix socket, a register large enough to be a stream, and nginx before it as shipped."""

import http.client
import os
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from service import ROOT, Answer, Service, free_port

SHIPPED = ROOT / "deploy" / "nginx" / "virksomhedslogin.conf"
COMPANIES = 200_000
# As many a machine has it for its other sites.
COMPRESSING = "gzip on;\ngzip_types *;\ngzip_min_length 0;\ngzip_proxied any;\n"


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

    def __init__(self, binary, directory):
        self.binary, self.directory, self.socket = binary, directory, directory / "api.sock"
        self.home = directory / "nginx"
        self.home.mkdir()
        self.port = free_port()
        certificate, key = self.home / "cert.pem", self.home / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                        "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out",
                        certificate], check=True, capture_output=True)
        self.certificate, self.key = certificate, key
        self.context = ssl.create_default_context(cafile=certificate)
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
        self.nginx = self.start_nginx(self.home, self.port)

    def start_nginx(self, home, port, edit=lambda text: text):
        """nginx as shipped, but for the places of this machine and what `edit` makes of the file."""
        server = edit(SHIPPED.read_text(encoding="utf-8"))
        for shipped, here in [("/run/virksomhedslogin/api.sock", self.socket), ("/var/log/nginx", home),
                              ("    listen [::]:443 ssl;\n", ""), ("443", f"127.0.0.1:{port}"),
                              ("/etc/ssl/virksomhedslogin/fullchain.pem", self.certificate),
                              ("/etc/ssl/virksomhedslogin/privkey.pem", self.key)]:
            assert shipped in server, shipped
            server = server.replace(shipped, str(here))
        directories = "".join(f"{kind}_temp_path {home}/{kind};\n"
                          for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"])
        configuration = home / "nginx.conf"
        configuration.write_text(
            f"daemon off;\nworker_processes 1;\n{'user root;' if os.geteuid() == 0 else ''}\npid {home}/pid;\n"
            f"error_log {home}/error.log;\nevents {{ worker_connections 1024; }}\nhttp {{\n{COMPRESSING}{directories}{server}}}\n",
            encoding="utf-8")
        nginx = subprocess.Popen(["nginx", "-e", home / "error.log", "-c", configuration])
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return nginx
            except ConnectionRefusedError:
                assert time.monotonic() < deadline and nginx.poll() is None, "nginx does not answer"
                time.sleep(0.02)

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
        self.nginx.send_signal(signal.SIGTERM)
        self.nginx.wait(20)
        self.stop_service()

    def send(self, connection, verb, path, token, body, headers):
        """One request on this connection."""
        headers = dict(headers or {})
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        try:
            connection.request(verb, path, body=body, headers=headers)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def direct(self, verb, path, token=None, body=None, headers=None):
        """A request to the service itself."""
        return self.send(UnixConnection(self.socket), verb, path, token, body, headers)

    def ask(self, verb, path, token=None, body=None, headers=None):
        """A request through nginx."""
        connection = http.client.HTTPSConnection("localhost", self.port, timeout=30, context=self.context)
        return self.send(connection, verb, path, token, body, headers)

    def connect(self):
        """A TLS connection to nginx."""
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        return self.context.wrap_socket(plain, server_hostname="localhost")

    def raw(self, request):
        """Everything that comes back for these bytes."""
        with self.connect() as stream:
            stream.settimeout(3)
            stream.sendall(request)
            answer = b""
            try:
                while chunk := stream.recv(65536):
                    answer += chunk
            except (TimeoutError, ConnectionResetError, ssl.SSLError):
                pass
            return answer

    def audit(self):
        """The lines of the audit log."""
        return (self.directory / "audit.ndjson").read_text(encoding="utf-8").splitlines()

    def workers(self):
        """The process ids of nginx's workers."""
        return subprocess.run(["pgrep", "-P", str(self.nginx.pid)], capture_output=True, text=True, check=True).stdout.split()

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
    running = Proxied(binary, tmp_path_factory.mktemp("proxy"))
    yield running
    running.stop()
