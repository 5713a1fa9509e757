"""nginx, Caddy, HAProxy and Apache as shipped, each on a loopback port of its own before the service."""

import contextlib
import grp
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path

from service import ROOT, Answer, free_port

MODULES = Path("/usr/lib/apache2/modules")


class Proxy:
    """One before the service of `proxied`: its shipped file, but for the places of this machine and what `edit` makes of it.

    `edit` gets the file as it is shipped. The log of calls is `log`, what the proxy says of itself is in `output`.
    """

    shipped: Path
    log = "virksomhedslogin.log"
    # How long it waits for the service's answer, as the shipped file writes it, and one second.
    wait, short_wait = "", ""

    def __init__(self, proxied, home, edit=lambda text: text):
        home.mkdir(exist_ok=True)
        self.proxied, self.home, self.port = proxied, home, free_port()
        self.context, self.output = proxied.context, home / "output.log"
        shipped = self.shipped.read_text(encoding="utf-8")
        text = edit(shipped)
        for theirs, here in self.places(text):
            assert theirs in shipped + text, theirs
            text = text.replace(theirs, str(here))
        command = self.command(text)
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output, env={
                **os.environ, "HOME": str(home), "XDG_DATA_HOME": str(home), "XDG_CONFIG_HOME": str(home)})
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError):
                if self.ask("OPTIONS", "/v1/Login").status == 204:
                    return
            if time.monotonic() > deadline or self.process.poll() is not None:
                self.stop()
                raise AssertionError(f"{type(self).__name__} does not answer: {self.output.read_text()}")
            time.sleep(0.02)

    def places(self, text):
        """What the shipped file names, and where it is here."""
        raise NotImplementedError

    def command(self, text):
        """Writes the file, and what it needs beside it; how to start it."""
        raise NotImplementedError

    @staticmethod
    def bound(text, authorities):
        """The shipped file with client certificates of these authorities, as its comments say."""
        raise NotImplementedError

    def stop(self):
        """Ends it."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stop()

    def ask(self, verb, path, token=None, body=None, headers=None, context=None, source=None):
        """A request through it, with another TLS context or from another address of loopback."""
        connection = http.client.HTTPSConnection("localhost", self.port, timeout=30, context=context or self.context,
                                                 source_address=source)
        return send(connection, verb, path, token, body, headers)

    def connect(self):
        """A TLS connection to it."""
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        return self.context.wrap_socket(plain, server_hostname="localhost")

    def raw(self, request):
        """Everything that comes back for these bytes."""
        with self.connect() as stream:
            stream.settimeout(3)
            answer = b""
            # One that refuses a request may not wait for the end of it.
            with contextlib.suppress(TimeoutError, ConnectionError, ssl.SSLError):
                stream.sendall(request)
                while chunk := stream.recv(65536):
                    answer += chunk
            return answer

    def lines(self):
        """What the log of calls says: request id and status of each."""
        lines = (json.loads(line) for line in (self.home / self.log).read_text(encoding="utf-8").splitlines() if line[:1] == "{")
        return [self.line(line) for line in lines]

    def line(self, line):
        """Request id and status of this line of the log."""
        return line["requestId"], line["status"]

    def logs(self):
        """The text of everything that it has written."""
        return "".join(file.read_text(errors="replace") for file in self.home.glob("*.log"))


class Nginx(Proxy):
    """nginx, which compresses everything in its other sites."""

    shipped = ROOT / "deploy" / "nginx" / "virksomhedslogin.conf"
    compressing = "gzip on;\ngzip_types *;\ngzip_min_length 0;\ngzip_proxied any;\n"
    wait, short_wait = "proxy_read_timeout 30s", "proxy_read_timeout 1s"

    def places(self, text):
        return [("/run/virksomhedslogin/api.sock", self.proxied.socket), ("/var/log/nginx", self.home),
                ("    listen [::]:443 ssl;\n", ""), ("443", f"127.0.0.1:{self.port}"),
                ("/etc/ssl/virksomhedslogin/fullchain.pem", self.proxied.certificate),
                ("/etc/ssl/virksomhedslogin/privkey.pem", self.proxied.key)]

    def command(self, text):
        directories = "".join(f"{kind}_temp_path {self.home}/{kind};\n"
                              for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"])
        configuration, errors = self.home / "nginx.conf", self.home / "error.log"
        configuration.write_text(
            f"daemon off;\nworker_processes 1;\n{'user root;' if os.geteuid() == 0 else ''}\npid {self.home}/pid;\n"
            f"error_log {errors};\nevents {{ worker_connections 1024; }}\nhttp {{\n{self.compressing}{directories}{text}}}\n",
            encoding="utf-8")
        return ["nginx", "-e", errors, "-c", configuration]

    @staticmethod
    def bound(text, authorities):
        text = text.replace('    proxy_set_header Client-Cert "";\n', "")
        text = uncommented(text, "ssl_client_certificate", "ssl_verify_client", "proxy_set_header Client-Cert $")
        return text.replace("/etc/ssl/virksomhedslogin/clients.pem", str(authorities))


class Caddy(Proxy):
    """Caddy."""

    shipped = ROOT / "deploy" / "caddy" / "Caddyfile"
    wait, short_wait = "response_header_timeout 30s", "response_header_timeout 1s"

    def places(self, text):
        certificate = f"\ttls {self.proxied.certificate} {self.proxied.key}"
        block = "\n\ttls {\n" in text
        return [("login.example.dk {\n", f"localhost:{self.port} {{\n" + ("" if block else f"{certificate}\n")),
                *([("\ttls {\n", f"{certificate} {{\n")] if block else []),
                ("/var/log/caddy", self.home), ("/run/virksomhedslogin/api.sock", self.proxied.socket)]

    def command(self, text):
        (self.home / "Caddyfile").write_text(text, encoding="utf-8")
        return ["caddy", "run", "--adapter", "caddyfile", "--config", self.home / "Caddyfile"]

    @staticmethod
    def bound(text, authorities):
        block = re.search(r"^\t# tls \{\n(\t#.*\n)+", text, re.MULTILINE).group()
        text = text.replace(block, block.replace("\t# ", "\t").replace("\t#", "\t")).replace("\t\theader_up -Client-Cert\n", "")
        text = uncommented(text, "header_up Client-Cert")
        return text.replace("/etc/ssl/virksomhedslogin/clients.pem", str(authorities))

    def line(self, line):
        return line["resp_headers"].get("X-Requestid", [""])[0], line["status"]


class HAProxy(Proxy):
    """HAProxy, which logs to its standard output."""

    shipped = ROOT / "deploy" / "haproxy" / "haproxy.cfg"
    log = "output.log"
    wait, short_wait = "timeout server 30s", "timeout server 1s"

    def places(self, text):
        management = self.proxied.service.management.rpartition(":")[2]
        return [("bind :443", f"bind 127.0.0.1:{self.port}"), ("/etc/ssl/virksomhedslogin", self.home),
                ("log /dev/log local0 info", "log stdout format raw local0 info"), ("port 9090", f"port {management}"),
                ("/run/virksomhedslogin/api.sock", self.proxied.socket)]

    def command(self, text):
        (self.home / "combined.pem").write_text(self.proxied.certificate.read_text() + self.proxied.key.read_text())
        (self.home / "haproxy.cfg").write_text(text, encoding="utf-8")
        return ["haproxy", "-db", "-f", self.home / "haproxy.cfg"]

    @staticmethod
    def bound(text, authorities):
        text = re.sub(r"^(    bind .*)$", rf"\1 ca-file {authorities} verify optional", text, flags=re.MULTILINE)
        return uncommented(text, "http-request set-header Client-Cert")


class Apache(Proxy):
    """Apache with the modules that Debian's has, and those that the shipped file says to enable; it compresses elsewhere."""

    shipped = ROOT / "deploy" / "apache" / "virksomhedslogin.conf"
    wait, short_wait = " timeout=30 ", " timeout=1 "

    def places(self, text):
        return [("*:443", f"127.0.0.1:{self.port}"), ("/run/virksomhedslogin/api.sock", self.proxied.socket),
                ("${APACHE_LOG_DIR}", self.home),
                ("/etc/ssl/virksomhedslogin/fullchain.pem", self.proxied.certificate),
                ("/etc/ssl/virksomhedslogin/privkey.pem", self.proxied.key)]

    def command(self, text):
        # Debian's from the start, what a2enmod enables with those that it is given, and these.
        modules = ["mpm_event", "authz_core", "env", "setenvif", "reqtimeout", "filter", "deflate", "socache_shmcb", "proxy",
                   *re.search(r"a2enmod (.*)", text).group(1).split()]
        loaded = "".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so\n" for name in modules)
        user = "User www-data\nGroup www-data\n" if os.geteuid() == 0 else ""
        configuration = self.home / "httpd.conf"
        configuration.write_text(
            f"ServerRoot {self.home}\nServerName localhost\nPidFile {self.home}/pid\nListen 127.0.0.1:{self.port}\n{loaded}{user}"
            f"ErrorLog {self.home}/error.log\nSSLSessionCache shmcb:{self.home}/tls(512000)\n"
            f"AddOutputFilterByType DEFLATE text/html application/json application/problem+json\n{text}", encoding="utf-8")
        return ["apache2", "-f", configuration, "-D", "FOREGROUND"]

    @staticmethod
    def bound(text, authorities):
        text = uncommented(text, "SSLCACertificateFile", "SSLVerifyClient")
        return text.replace("/etc/ssl/virksomhedslogin/clients.pem", str(authorities))


PROXIES = {"nginx": Nginx, "caddy": Caddy, "haproxy": HAProxy, "apache": Apache}


def uncommented(text, *lines):
    """The text with these lines, which it has as comments."""
    for line in lines:
        commented = re.compile(rf"^(\s*)# ?(\s*{re.escape(line)})", re.MULTILINE)
        assert commented.search(text), line
        text = commented.sub(r"\1\2", text, count=1)
    return text


def send(connection, verb, path, token=None, body=None, headers=None):
    """One request on this connection, which is closed then."""
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


def socket_directory(directory):
    """Lets the user that Apache changes to connect to sockets in this directory, as SocketGroup= does."""
    if os.geteuid() == 0:
        os.chown(directory, 0, grp.getgrnam("www-data").gr_gid)
        os.chmod(directory, 0o2710)
