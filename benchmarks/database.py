"""The store on PostgreSQL, measured against PostgreSQL's own programs on the same server: pgbench and psql.

Service, server and client share the cores, as pgbench and the server do: a ratio says what the way over HTTP, with
token, audit line and request log, leaves of the database.
"""

import threading
from contextlib import ExitStack, contextmanager

import changes
from fixtures import FIRST_COMPANY, step
from lists import PATH, timed
from load import CLIENTS, Run, fetch, gunzipped
from measure import Row, Rounds, interleave
from processes import Failed, forget_peak, resident
from servers import postgresql
from targets import TARGETS
from world import ACCESS

FEW = 8
# What the service opens at most by itself.
CONNECTIONS = 10
LISTS = 10
# Connections that carry no list.
RESERVED = 5
TABLE = "virksomhedslogin_login"
MEGABYTE = 1_000_000

RANDOM_COMPANY = "\\set cvr {first} + {step} * random(0, {last})\n"
# For one login what the service's statement is for many.
UPSERT = RANDOM_COMPANY + """\
INSERT INTO virksomhedslogin_login AS known (cvr_number, first_login, last_login)
VALUES (:cvr, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)
ON CONFLICT (cvr_number) DO UPDATE
SET first_login = LEAST(known.first_login, excluded.first_login),
    last_login = GREATEST(known.last_login, excluded.last_login)
WHERE known.first_login > excluded.first_login OR known.last_login < excluded.last_login;
"""
SELECT = RANDOM_COMPANY + """\
SELECT cvr_number, first_login, last_login FROM virksomhedslogin_login WHERE cvr_number = :cvr;
"""


def on_postgresql(world, wanted):
    """pg-set, pg-set-clients, pg-get, pg-list and pg-changes, on one server; what writes comes last, after the table was read."""
    measured, rows = Rounds(), []
    with postgresql(world) as server:
        world.fixtures.fill("import-postgresql", section(server, True), world.records, ACCESS)
        server.psql(f"VACUUM (ANALYZE) {TABLE}")
        server.psql("CHECKPOINT")
        if "pg-list" in wanted:
            rows += whole_list(world, server, measured)
        if "pg-changes" in wanted:
            with service_on(world, server, True) as service:
                rows += changes.asked("pg-changes", world, service.port, measured)
        if wanted - {"pg-list", "pg-changes"}:
            with ExitStack() as started:
                bench = Bench(world, server, started)
                if "pg-get" in wanted:
                    rows += look_ups(bench, measured)
                if {"pg-set", "pg-set-clients"} & wanted:
                    rows += logins(bench, wanted, measured)
    return rows, measured.values


def section(server, named, connections=CONNECTIONS):
    """The store's part of a configuration."""
    return (f'kind = "postgres"\nurl = "{server.url}"\nconnections = {connections}\n'
            f"prepared_statements = {'true' if named else 'false'}")


@contextmanager
def service_on(world, server, named, connections=CONNECTIONS):
    """The service on this server, ready."""
    world.started += 1
    running = world.launch(f"service-{world.started}", section(server, named, connections))
    try:
        yield running
    finally:
        world.processes.stop(running.process)


class Bench:
    """The contestants of look-ups and logins: the service with and without named statements, and pgbench."""

    def __init__(self, world, server, started):
        self.world, self.server = world, server
        self.services = {named: started.enter_context(service_on(world, server, named)) for named in (True, False)}
        self.scripts = {}
        for name, text in (("upsert", UPSERT), ("select", SELECT)):
            self.scripts[name] = world.directory / f"{name}.sql"
            self.scripts[name].write_text(
                text.format(first=FIRST_COMPANY, step=step(world.records), last=world.records - 1))

    def service(self, kind, clients, named=True):
        """A measurement of the service."""
        port = self.services[named].port
        return lambda: self.world.wrk.measure(port, kind, self.world.seconds, clients)[0]

    def pgbench(self, script, connections, named=True):
        """A measurement of pgbench. `extended` is a statement without a name, as the service sends it then."""
        mode = "prepared" if named else "extended"
        return lambda: self.server.pgbench(self.scripts[script], mode, connections, self.world.seconds)

    def measure(self, contestants, measured):
        """Each once to warm up, and then in turn."""
        for contestant in contestants.values():
            contestant()
        interleave(self.world.rounds, contestants, measured)


def look_ups(bench, measured):
    """pg-get."""
    bench.measure({f"pg-{name}-get-{clients}": run for clients in (CLIENTS, FEW) for name, run in (
        ("service", bench.service("get", clients)), ("pgbench", bench.pgbench("select", clients)))}, measured)
    return [versus(measured, "pg-get", f"pg-service-get-{CLIENTS}", f"pg-pgbench-get-{CLIENTS}"),
            versus(measured, "pg-get-8", f"pg-service-get-{FEW}", f"pg-pgbench-get-{FEW}")]


def logins(bench, wanted, measured):
    """pg-set and pg-set-clients: all contestants in the same rounds."""
    contestants, pairs = {}, []
    if "pg-set" in wanted:
        contestants |= {
            "pg-service-set-8": bench.service("put", FEW), "pg-pgbench-set-8": bench.pgbench("upsert", FEW),
            "pg-service-set-8-unnamed": bench.service("put", FEW, named=False),
            "pg-pgbench-set-8-unnamed": bench.pgbench("upsert", FEW, named=False)}
        pairs += [("pg-set", "pg-service-set-8", "pg-pgbench-set-8"),
                  ("pg-set-unnamed", "pg-service-set-8-unnamed", "pg-pgbench-set-8-unnamed")]
    if "pg-set-clients" in wanted:
        contestants |= {
            "pg-service-set-64": bench.service("put", CLIENTS),
            "pg-pgbench-set-10": bench.pgbench("upsert", CONNECTIONS),
            "pg-pgbench-set-64": bench.pgbench("upsert", CLIENTS),
            "pg-service-set-64-unnamed": bench.service("put", CLIENTS, named=False),
            "pg-pgbench-set-10-unnamed": bench.pgbench("upsert", CONNECTIONS, named=False)}
        pairs += [("pg-set-clients", "pg-service-set-64", "pg-pgbench-set-10"),
                  ("pg-set-clients-64", "pg-service-set-64", "pg-pgbench-set-64"),
                  ("pg-set-clients-unnamed", "pg-service-set-64-unnamed", "pg-pgbench-set-10-unnamed")]
    bench.measure(contestants, measured)
    return [versus(measured, *pair) for pair in pairs]


def versus(measured, name, ours, theirs):
    """A row of a rate of ours by one of theirs."""
    note = f"{measured.median(ours):,.0f}/s ÷ {measured.median(theirs):,.0f}/s"
    return Row(TARGETS[name], measured.ratio(ours, theirs), measured.faults_of(ours, theirs), note)


def whole_list(world, server, measured):
    """pg-list: its time plain and as gzip, its first byte, and the memory that ten at once take."""
    token = world.fixtures.token
    with service_on(world, server, True) as service:
        def listed(coding):
            return timed(service.port, PATH, token, coding, sizes[coding])

        def first_byte(coding):
            fetched = fetch(service.port, PATH, token, coding)
            return Run(fetched.first_byte * 1000, [] if fetched.status == 200 else [f"status {fetched.status}"])

        sizes = sizes_of_whole(world, service.port)
        server.copy_seconds(TABLE)
        interleave(world.rounds, {
            "pg-service-list": lambda: listed(None), "pg-service-list-gzip": lambda: listed("gzip"),
            "pg-copy": lambda: server.copy_seconds(TABLE)}, measured)
        interleave(world.rounds, {"pg-first-byte": lambda: first_byte(None),
                                  "pg-first-byte-gzip": lambda: first_byte("gzip")}, measured)
    # Each list has a connection to itself, and all of them at once must have one.
    with service_on(world, server, True, LISTS + RESERVED) as service:
        ready = resident(service.pid)
        measured.add("pg-list-memory", lists_at_once(service, token, sizes[None]), 0)

    def by_copy(name, ours):
        note = f"{measured.median(ours):.2f} s ÷ {measured.median('pg-copy'):.2f} s"
        return Row(TARGETS[name], measured.ratio(ours, "pg-copy"), measured.faults_of(ours, "pg-copy"), note)

    firsts = [name for name in measured.values if name.startswith("pg-first-byte")]
    return [by_copy("pg-list", "pg-service-list"), by_copy("pg-list-gzip", "pg-service-list-gzip"),
            Row(TARGETS["pg-list-first-byte"], [max(value for name in firsts for value in measured.values[name])],
                measured.faults_of(*firsts)),
            Row(TARGETS["pg-list-memory"], measured.values["pg-list-memory"], measured.faults_of("pg-list-memory"),
                f"{ready / MEGABYTE:.0f} MB when ready")]


def sizes_of_whole(world, port):
    """Coding → bytes of the list, once it has every company and the gzip one unpacks to the plain one."""
    plain, packed = world.directory / "list.json", world.directory / "list.json.gz"
    sizes = {coding: fetch(port, PATH, world.fixtures.token, coding, path).bytes
             for coding, path in ((None, plain), ("gzip", packed))}
    text = plain.read_bytes()
    if (found := text.count(b'"cvrNummer"')) != world.records:
        raise Failed(f"the list has {found} companies instead of {world.records}")
    if gunzipped(packed.read_bytes()) != text:
        raise Failed("the gzip list does not unpack to the plain one")
    return sizes


def lists_at_once(service, token, size):
    """The peak of the resident memory while ten clients read a list, each of which must be whole."""
    faults = []

    def read():
        try:
            faults.extend(timed(service.port, PATH, token, None, size).faults)
        except Failed as fault:
            faults.append(str(fault))

    forget_peak(service.pid)
    readers = [threading.Thread(target=read) for _ in range(LISTS)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    return Run(resident(service.pid, "VmHWM") / MEGABYTE, faults)
