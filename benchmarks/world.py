"""The servers of a run: the service in every arrangement that a row asks for, and what it is measured against."""

import grp
import os
import pwd
import shutil
import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fixtures import AUDIENCE, ISSUER
from load import Wrk
from processes import free_port, status_of, wait_until

HERE = Path(__file__).parent
ACCESS = HERE.parent / "config" / "access.toml"
PEERS = HERE / "peers"

# Where a cost is measured, server and client have a core each, so that neither waits for the other.
SERVER_CORE, CLIENT_CORE = 0, 1


@dataclass
class Service:
    """The service, running and ready."""
    process: object
    port: int
    management: int
    seconds_to_ready: float

    @property
    def pid(self):
        """The process that serves (taskset replaces itself by it)."""
        return self.process.pid


class World:
    """What rows measure in: fixtures, processes, and how long to measure."""

    def __init__(self, directory, fixtures, processes, tools, quick):
        self.directory = directory
        self.fixtures = fixtures
        self.processes = processes
        self.tools = tools
        self.quick = quick
        self.rounds = 3 if quick else 5
        self.seconds = 1 if quick else 2
        # A peer's code is half as fast while it is still being compiled.
        self.warm_up = 2 if quick else 4
        self.records = 1_000_000
        self.started = 0
        self.wrk = Wrk(directory, fixtures.token, self.records)

    def wrk_for(self, records):
        """A load on a register of another size."""
        return Wrk(self.directory, self.fixtures.token, records)

    @contextmanager
    def service(self, records=None, workers=2, core=None, writable=False):
        """The service on a store of so many companies; on a copy of it when it is going to be written to."""
        self.started += 1
        name = f"service-{self.started}"
        records = records or self.records
        store = (self.fixtures.copy_of_store(records, ACCESS, name) if writable
                 else self.fixtures.store(records, ACCESS))
        running = self.launch(name, store, workers, core)
        try:
            yield running
        finally:
            self.processes.stop(running.process)
            if writable:
                shutil.rmtree(store)

    def launch(self, name, store, workers=2, core=None):
        """Starts the service and times how long it takes to be ready; `store` as `Fixtures.configuration` takes it."""
        port, management = free_port(), free_port()
        config = self.fixtures.configuration(name, store, port, management, workers, ACCESS)
        began = time.monotonic()
        process = self.processes.start(name, [self.fixtures.binary, "serve", "--config", config], core)
        ready = wait_until(process, lambda: status_of(management, "/readyz")[0] == 200)
        return Service(process, port, management, ready - began)

    @contextmanager
    def peer(self, name, command, ready, environment=None):
        """A server of somebody else."""
        process = self.processes.start(name, command, environment=environment)
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
        with self.peer("redis", command, ready):
            yield port

    @contextmanager
    def nginx(self, directory):
        """nginx that serves the files of a directory, compressed ones where they lie beside; its port."""
        port = free_port()
        text = (PEERS / "nginx.conf").read_text()
        for key, value in (("PORT", port), ("DIRECTORY", directory), ("RUN", self.directory),
                           ("USER", pwd.getpwuid(os.getuid()).pw_name), ("GROUP", grp.getgrgid(os.getgid()).gr_name)):
            text = text.replace(f"@{key}@", str(value))
        config = self.directory / "nginx.conf"
        config.write_text(text)
        with self.peer("nginx", [self.tools.nginx, "-c", config], lambda: status_of(port, "/")[0] > 0):
            yield port

    @contextmanager
    def fastify(self):
        """The Fastify peer with two workers; its port."""
        port = free_port()
        program = self.tools.node_directory / "fastify.mjs"
        shutil.copyfile(PEERS / "fastify.mjs", program)
        environment = self.peer_environment("fastify", port)
        with self.peer("fastify", ["node", program], lambda: status_of(port, "/")[0] > 0, environment):
            yield port

    @contextmanager
    def fastapi(self):
        """The FastAPI peer with two workers; its port."""
        port = free_port()
        command = [self.tools.venv / "bin" / "uvicorn", "fastapi_peer:app", "--app-dir", PEERS, "--port", port,
                   "--workers", "2", "--no-access-log", "--log-level", "warning"]
        environment = {**self.peer_environment("fastapi", port), "PYTHONDONTWRITEBYTECODE": "1"}
        with self.peer("fastapi", command, lambda: status_of(port, "/")[0] > 0, environment):
            yield port

    def peer_environment(self, name, port):
        """The settings of both peers."""
        return {"DATABASE": str(self.fixtures.database(self.records, name)), "JWKS": str(self.fixtures.jwks),
                "ISSUER": ISSUER, "AUDIENCE": AUDIENCE, "PORT": str(port), "WORKERS": "2",
                "NODE_ENV": "production"}
