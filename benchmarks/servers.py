"""A PostgreSQL server for a run: a new one, on loopback, with the settings that it has by itself, and thrown away."""

import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

from load import Run
from processes import FAREWELL_SECONDS, Failed, free_port, run, wait_until

# Where every account may go, and what is no memory even where /tmp is: there a sync would cost nothing.
PLACE = "/var/tmp"
ROLE = "bench"
# PostgreSQL refuses to run as root.
ACCOUNTS = ("postgres", "nobody")


class Server:
    """A server that runs, and PostgreSQL's own programs against it."""

    def __init__(self, programs, port, password):
        self.programs = programs
        self.url = f"postgresql://{ROLE}:{password}@127.0.0.1:{port}/postgres"
        self.environment = {**os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": ROLE,
                            "PGPASSWORD": password, "PGDATABASE": "postgres"}

    def psql(self, *commands):
        """What psql prints of these commands, without its decoration."""
        parts = [part for command in commands for part in ("-c", command)]
        return run([self.programs / "psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", *parts],
                   env=self.environment)

    def copy_seconds(self, table):
        """How long psql takes to copy a table to nowhere, by its own clock: without its start, as with curl."""
        output = self.psql("\\timing on", "\\o /dev/null", f"COPY {table} TO STDOUT")
        found = re.search(r"^Time: ([0-9.]+) ms", output, re.MULTILINE)
        if not found:
            raise Failed(f"psql printed no time: {output[-500:]}")
        return Run(float(found[1]) / 1000)

    def pgbench(self, script, mode, connections, seconds):
        """Transactions a second; the time that connecting took is not counted.

        With a thread for each core: with a single one it is pgbench that 64 connections wait for.
        """
        output = run([self.programs / "pgbench", "-n", "-M", mode, "-f", script, "-c", connections,
                    "-j", min(connections, os.cpu_count() or 1), "-T", seconds],
                   timeout=seconds + 60, env=self.environment)
        rate = re.search(r"^tps = ([0-9.]+)", output, re.MULTILINE)
        if not rate:
            raise Failed(f"pgbench printed no rate: {output[-500:]}")
        failed = re.search(r"^number of failed transactions: ([0-9]+)", output, re.MULTILINE)
        return Run(float(rate[1]), [f"{failed[1]} transactions failed"] if failed and failed[1] != "0" else [])


@contextmanager
def postgresql(world):
    """A server with an empty database."""
    programs = world.tools.postgresql
    if programs is None:
        raise Failed("PostgreSQL is not installed")
    port, password = free_port(), secrets.token_hex(16)
    directory = Path(tempfile.mkdtemp(prefix="virksomhedslogin-bench-", dir=PLACE))
    try:
        options = {"cwd": directory}
        account = other_account()
        if account:
            options |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
            os.chown(directory, account.pw_uid, account.pw_gid)
        secret = directory / "password"
        secret.touch(mode=0o600)
        secret.write_text(password)
        if account:
            os.chown(secret, account.pw_uid, account.pw_gid)
        data = directory / "data"
        run([programs / "initdb", "-D", data, "-U", ROLE, "--pwfile", secret, "--auth", "scram-sha-256",
             "--encoding", "UTF8", "--no-locale"], **options)
        server = Server(programs, port, password)
        # A socket would lie in a directory of the system, and both sides are to take the same way.
        process = world.processes.start(
            "postgresql", [programs / "postgres", "-D", data, "-p", port, "-c", "listen_addresses=127.0.0.1",
                           "-c", "unix_socket_directories="], **options)
        try:
            wait_until(process, lambda: answers(server), pause=0.1)
            yield server
        finally:
            # It ends its own processes, and gives back the system's shared memory, when it is asked like this.
            process.send_signal(signal.SIGINT)
            try:
                process.wait(FAREWELL_SECONDS)
            except subprocess.TimeoutExpired:
                pass
            world.processes.stop(process)
    finally:
        shutil.rmtree(directory)


def answers(server):
    """Whether the server takes statements now."""
    try:
        return server.psql("SELECT 1") == "1\n"
    except Failed:
        return False


def other_account():
    """Whom the server runs as, where this process is root's; nothing where it is not."""
    if os.geteuid() != 0:
        return None
    for name in ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Failed(f"PostgreSQL does not run as root, and there is no account {' or '.join(ACCOUNTS)}")
