"""Instances replaced one by one behind a proxy, and one instance whose socket is held for it, under load: no failed call."""

import socket
import time

import pytest

import proxies
from conftest import TABLE, instances
from load import Load
from network import Machine, remove_machines, wait_for
from service import Service

RESTARTS = 3


@pytest.fixture(scope="module")
def database(place):
    """The connection string of a lone PostgreSQL."""
    remove_machines()
    machine = Machine("db", 20, place)
    machine.run("initdb", "--auth=trust", "--no-sync", "-U", "virksomhedslogin", "-D", "data")
    with open(machine.home / "data" / "pg_hba.conf", "a", encoding="utf-8") as rules:
        rules.write("host all all 10.77.0.0/24 trust\n")
    machine.start("postgres", "-D", "data", "-c", "listen_addresses=*")
    return f"postgresql://virksomhedslogin@{machine.address}/postgres?sslmode=disable"


def note(load, what, proxy, since, transcript):
    """The table's row; no call may have failed."""
    failed = [call for call in load.calls if not call.good]
    slowest = max(call.ended - call.began for call in load.calls)
    transcript.append(f"{len(load.calls)} calls, {len(failed)} failed, the slowest {slowest:.2f} s")
    print(*transcript, sep="\n")
    TABLE.append({"fault": what, "tool": proxy, **load.seen(since, time.time())})
    assert not failed, f"{len(failed)} of {len(load.calls)}: {failed[:5]}"
    load.assert_right(what)


@pytest.mark.parametrize("proxy", ["HAProxy", "nginx"])
def test_instances_are_replaced_one_by_one(proxy, database, place, binary, certificate, rounds):
    directory = place / f"upgrade {proxy}"
    directory.mkdir()
    running, transcript = instances(binary, directory, database), []
    port, before = getattr(proxies, proxy.lower())(directory, certificate, running)
    with Load(port, certificate.context, running[0].token("STAR", "AlleBorgere")) as load:
        began = time.time()
        wait_for("every caller", lambda: load.all_since(began))
        for number, instance in list(enumerate(running, 1)) * rounds:
            for word, step in (("stopped", instance.stop), ("started", instance.start)):
                since = time.time()
                step()
                transcript.append(f"{since - began:5.1f} s  instance {number} {word} in {time.time() - since:.1f} s")
            # The proxy's checks have found it.
            time.sleep(2)
        since = time.time()
        wait_for("every caller", lambda: load.all_since(since))
    note(load, "three instances replaced", proxy, began, transcript)
    before.stop()
    for number, instance in enumerate(running, 1):
        load.history.check_list(instance, load.token, f"instance {number}")
        instance.stop()
    load.assert_right("replaced")


class Activated(Service):
    """A service whose listening socket is another's, as with systemd's socket activation."""

    def __init__(self, binary, directory, listener):
        self.descriptors = [listener.fileno()]
        super().__init__(binary, directory)
        self.port = listener.getsockname()[1]

    def start(self, ready=200):
        """Starts it with the socket as descriptor 3."""
        if self.command[0] != "bash":
            activate = f'exec 3<&{self.descriptors[0]}; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"'
            self.command = ["bash", "-c", activate, "bash", *self.command]
        super().start(ready)


def test_a_restart_loses_no_connection_while_the_socket_is_held(place, binary):
    directory, transcript = place / "activated", []
    directory.mkdir()
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        service = Activated(binary, directory, listener)
        with Load(service.port, None, service.token("STAR", "AlleBorgere"), keep=False) as load:
            began = time.time()
            for _ in range(RESTARTS):
                since = time.time()
                wait_for("every caller", lambda: load.all_since(since))
                since = time.time()
                service.stop()
                stopped = time.time()
                service.start()
                transcript.append(f"{since - began:5.1f} s  stopped in {stopped - since:.2f} s, started in {time.time() - stopped:.2f} s")
            since = time.time()
            wait_for("every caller", lambda: load.all_since(since))
        note(load, "restart with the socket held", "systemd", began, transcript)
        load.history.check_list(service, load.token, "after the restarts")
        service.stop()
    load.assert_right("after the restarts")
