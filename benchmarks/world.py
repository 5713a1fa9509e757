"""The servers of a run: the service in every arrangement that a row asks for, and what it is measured against."""

import grp
import os
import pwd
import shutil
import socket
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from load import Wrk
from processes import free_port, status_of, wait_until
from tools import PEER_NAMES, peer_environment

HERE = Path(__file__).parent
ACCESS = HERE.parent / "config" / "access.toml"
PEERS = HERE / "peers"

# systemd waits as long (deploy/systemd).
START_SECONDS = 300
# Where a cost is measured, server and client have a core each, so that neither waits for the other.
SERVER_CORE, CLIENT_CORE = 0, 1


@dataclass
class Service:
    """The service or a peer, running and ready."""
    process: object
    port: int
    management: int = 0
    seconds_to_ready: float = 0.0

    @property
    def pid(self):
        """The process that serves (taskset replaces itself by it)."""
        return self.process.pid


class World:
    """What rows measure in: fixtures, processes, and how long to measure."""

    def __init__(self, directory, fixtures, processes, tools, quick, records):
        self.directory = directory
        self.fixtures = fixtures
        self.processes = processes
        self.tools = tools
        self.quick = quick
        self.rounds = 3 if quick else 5
        self.seconds = 1 if quick else 2
        # Bun's code is half as fast while it is still being compiled.
        self.warm_up = 2 if quick else 4
        self.records = records
        self.started = 0
        self.wrk = Wrk(directory, fixtures.token, self.records)

    def wrk_for(self, records):
        """A load on a register of another size."""
        return Wrk(self.directory, self.fixtures.token, records)

    @contextmanager
    def service(self, records=None, workers=2, core=None, writable=False, socket_path=None):
        """The service on a store of so many companies; on a copy of it when it is going to be written to."""
        self.started += 1
        name = f"service-{self.started}"
        records = records or self.records
        store = (self.fixtures.copy_of_store(records, ACCESS, name) if writable
                 else self.fixtures.store(records, ACCESS))
        running = self.launch(name, store, workers, core, socket_path)
        try:
            yield running
        finally:
            self.processes.stop(running.process)
            if writable:
                shutil.rmtree(store)

    def launch(self, name, store, workers=2, core=None, socket_path=None):
        """Starts the service and times how long it takes to be ready; `store` as `Fixtures.configuration` takes it."""
        port, management = free_port(), free_port()
        listen = f"unix:{socket_path}" if socket_path else f"127.0.0.1:{port}"
        config = self.fixtures.configuration(name, store, listen, management, workers, ACCESS)
        began = time.monotonic()
        process = self.processes.start(name, [self.fixtures.binary, "serve", "--config", config], core)
        ready = wait_until(process, lambda: status_of(management, "/readyz")[0] == 200, START_SECONDS)
        return Service(process, port, management, ready - began)

    @contextmanager
    def server(self, name, command, ready, environment=None, core=None):
        """A server of somebody else."""
        process = self.processes.start(name, command, core, environment)
        try:
            wait_until(process, ready)
            yield process
        finally:
            self.processes.stop(process)

    @contextmanager
    def redis(self):
        """redis that answers a SET when it is on the disk; its port."""
        port = free_port()
        data = self.directory / "redis"
        data.mkdir(exist_ok=True)
        command = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", data, "--save", "",
                   "--appendonly", "yes", "--appendfsync", "always"]

        def ready():
            with socket.create_connection(("127.0.0.1", port), 1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(7) == b"+PONG\r\n"
        with self.server("redis", command, ready):
            yield port

    def nginx(self, directory):
        """nginx that serves the files of a directory, compressed ones where they lie beside; its port."""
        return self.nginx_with(f"root {directory};")

    def proxy(self, upstream):
        """nginx that passes every call on to `unix:PATH` or an address with its port; its port."""
        return self.nginx_with(f"""location / {{
            proxy_pass http://upstream;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}""", f"upstream upstream {{ server {upstream}; keepalive 64; }}")

    @contextmanager
    def nginx_with(self, server, outside=""):
        """nginx with this in its one server, and beside it; its port."""
        port = free_port()
        text = (PEERS / "nginx.conf").read_text()
        for key, value in (("PORT", port), ("SERVER", server), ("OUTSIDE", outside), ("RUN", self.directory), ("NAME", port),
                           ("USER", pwd.getpwuid(os.getuid()).pw_name), ("GROUP", grp.getgrgid(os.getgid()).gr_name)):
            text = text.replace(f"@{key}@", str(value))
        config = self.directory / f"nginx-{port}.conf"
        config.write_text(text)
        with self.server("nginx", [self.tools.nginx, "-c", config], lambda: status_of(port, "/")[0] > 0):
            yield port

    @contextmanager
    def peer(self, name, core=None):
        """A peer with its access log, on a new store with the same companies."""
        port, directory = free_port(), self.directory / f"peer-{name}"
        directory.mkdir()
        environment = peer_environment(port, directory / "store", self.fixtures.jwks, ACCESS_LOG=directory / "access.log",
                                       COMPANIES=self.fixtures.numbers(self.records))
        command = self.tools.peer_command(name)
        try:
            with self.server(f"peer-{name}", command, lambda: status_of(port, "/")[0] > 0, environment, core) as process:
                yield Service(process, port)
        finally:
            shutil.rmtree(directory)

    @contextmanager
    def peers(self, core=None):
        """All peers: name → what runs."""
        with ExitStack() as started:
            yield {name: started.enter_context(self.peer(name, core)) for name in PEER_NAMES}
