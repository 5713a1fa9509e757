"""The proxies before the instances and before the database, as shipped, with this test's places."""

import http.client
import ssl
import subprocess

from network import command, wait_for
from service import ROOT, free_port

DEPLOY = ROOT / "deploy"


def replaced(text, *pairs):
    """The text with other words in these places, each of which must be there."""
    for shipped, here in pairs:
        assert shipped in text, shipped
        text = text.replace(shipped, str(here))
    return text


class Certificate:
    """A certificate for 127.0.0.1, and what believes it."""

    def __init__(self, directory):
        self.certificate, self.key, self.combined = (directory / name for name in ("cert.pem", "key.pem", "combined.pem"))
        command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", self.key, "-out", self.certificate)
        self.combined.write_text(self.certificate.read_text() + self.key.read_text())
        self.context = ssl.create_default_context(cafile=self.certificate)


class Proxy:
    """A proxy as a process."""

    def __init__(self, directory, name, words):
        self.log = directory / f"{name}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def stop(self):
        """Ends it."""
        self.process.terminate()
        self.process.wait(20)


def haproxy(directory, certificate, instances):
    """HAProxy before these instances: the port, and the process."""
    port = free_port()
    shipped = (DEPLOY / "haproxy" / "haproxy.cfg").read_text(encoding="utf-8")
    backend = (DEPLOY / "failover" / "instances.cfg").read_text(encoding="utf-8")
    text = replaced(shipped[:shipped.index("\nbackend virksomhedslogin\n") + 1] + backend, ("bind :443", f"bind 127.0.0.1:{port}"),
                    ("/etc/ssl/virksomhedslogin/combined.pem", certificate.combined), ("log /dev/log", "log stdout format raw"))
    for number, instance in enumerate(instances, 1):
        text = replaced(text, (f"instance{number}.example.dk:8080",
                               f"127.0.0.1:{instance.port} port {instance.management.rpartition(':')[2]}"))
    (directory / "haproxy.cfg").write_text(text, encoding="utf-8")
    proxy = Proxy(directory, "haproxy", ["haproxy", "-db", "-f", directory / "haproxy.cfg"])
    return port, ready(proxy, port, certificate)


def nginx(directory, certificate, instances):
    """nginx before these instances: the port, and the process."""
    port = free_port()
    shipped = (DEPLOY / "nginx" / "virksomhedslogin.conf").read_text(encoding="utf-8")
    shipped = replaced(shipped, ("    server unix:/run/virksomhedslogin/api.sock;\n", ""), ("    proxy_next_upstream off;\n", ""),
                       ("# proxy_next_upstream error", "proxy_next_upstream error"), ("/var/log/nginx", directory),
                       ("    listen [::]:443 ssl;\n", ""), ("listen 443", f"listen 127.0.0.1:{port}"),
                       ("/etc/ssl/virksomhedslogin/fullchain.pem", certificate.certificate),
                       ("/etc/ssl/virksomhedslogin/privkey.pem", certificate.key),
                       *((f"# server instance{number}.example.dk:8080", f"server 127.0.0.1:{instance.port}")
                         for number, instance in enumerate(instances, 1)))
    temporary = "".join(f"{kind}_temp_path {directory}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (directory / "nginx.conf").write_text(
        f"daemon off;\nuser root;\npid {directory}/pid;\nerror_log {directory}/error.log;\nevents {{ worker_connections 1024; }}\n"
        f"http {{\n{temporary}{shipped}}}\n".replace(str(directory), "."), encoding="utf-8")
    proxy = Proxy(directory, "nginx", ["nginx", "-p", directory, "-e", "error.log", "-c", "nginx.conf"])
    return port, ready(proxy, port, certificate)


def database(directory, nodes):
    """HAProxy before the database: the port, and the process."""
    port = free_port()
    text = (DEPLOY / "failover" / "database.cfg").read_text(encoding="utf-8")
    text = replaced(text, ("bind 127.0.0.1:5432", f"bind 127.0.0.1:{port}"),
                    *((f"{node.name}.example.dk", node.address) for node in nodes))
    (directory / "database.cfg").write_text(text, encoding="utf-8")
    return port, Proxy(directory, "database", ["haproxy", "-db", "-f", directory / "database.cfg"])


def ready(proxy, port, certificate):
    """The proxy, when it answers."""
    def answers():
        assert proxy.process.poll() is None, proxy.log.read_text()
        try:
            return fetch_tls(port, certificate, "/v1/Login", "OPTIONS") == 204
        except OSError:
            return False
    wait_for("the proxy", answers, 20)
    return proxy


def fetch_tls(port, certificate, path, verb="GET"):
    """The status of a request through a proxy."""
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=certificate.context)
    try:
        connection.request(verb, path)
        return connection.getresponse().status
    finally:
        connection.close()
