"""SetLogin: every answer is on the disk, and so is that of those it is measured against."""

import os
import time
from contextlib import ExitStack

from load import CLIENTS as SHARED
from load import redis_set, with_cost
from measure import Row, Rounds, against_best, interleave
from targets import TARGETS
from tools import PEER_NAMES

CLIENTS = (1, 8, 64, 256)
# As much as a login is.
LINE = b"x" * 63 + b"\n"
MICRO = 1e6


def writes(world, wanted):
    """All rows of SetLogin: one grid of contestants and clients, so that no figure is taken twice."""
    grid = CLIENTS if "set-clients" in wanted else tuple(
        clients for clients, rows in ((1, {"set-one"}), (SHARED, {"set-redis", "set-cost", "set-rate"})) if rows & wanted)
    # The others at other numbers of clients are for the plot alone.
    plotted = "set-clients" in wanted and not world.quick
    grid_of_others = grid if plotted else (SHARED,)
    # Contestant → what measures it, and with which numbers of clients.
    runs = {}
    with ExitStack() as started:
        service = started.enter_context(world.service(writable=True))
        runs["service"] = (lambda clients: put(world, service, clients), grid)
        if "set-redis" in wanted or plotted:
            runs["redis"] = (redis_runs(world, started.enter_context(world.redis()), grid_of_others), grid_of_others)
        if "set-one" in wanted:
            runs["append"] = (lambda _: appends(world.directory / "appended", world.seconds), (1,))
        if {"set-cost", "set-rate"} & wanted or plotted:
            for name, peer in started.enter_context(world.peers()).items():
                world.wrk.measure(peer.port, "put", world.warm_up)
                runs[name] = (lambda clients, peer=peer: put(world, peer, clients), grid_of_others)
        world.wrk.measure(service.port, "put", 1)
        measured = Rounds()
        for clients in grid:
            interleave(world.rounds, {
                f"{name}-set-{clients}": lambda run=run, clients=clients: run(clients)
                for name, (run, numbers) in runs.items() if clients in numbers}, measured)
    return rows(measured, wanted), measured.values


def put(world, server, clients):
    """SetLogins a second, and what each cost."""
    return with_cost(server.pid, lambda: world.wrk.measure(server.port, "put", world.seconds, clients))


def redis_runs(world, port, grid):
    """A measurement of redis, which takes a number of sets and no duration: so a first one finds its rate."""
    rates = {clients: redis_set(port, clients, 200 * clients + 1000).value for clients in grid}
    return lambda clients: redis_set(port, clients, max(1000, int(rates[clients] * world.seconds)))


def appends(path, seconds):
    """How often a second a line can be appended to a file and be on the disk: the most that one client can hope for."""
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    try:
        count, began = 0, time.monotonic()
        while (spent := time.monotonic() - began) < seconds:
            os.write(file, LINE)
            os.fdatasync(file)
            count += 1
        return count / spent
    finally:
        os.close(file)


def rows(measured, wanted):
    """What the grid says of each row."""
    def against(name, clients):
        ours, theirs = f"service-set-{clients}", f"{name}-set-{clients}"
        note = f"{measured.median(ours):,.0f}/s ÷ {measured.median(theirs):,.0f}/s"
        return measured.ratio(ours, theirs), measured.faults_of(ours, theirs), note

    found = []
    if "set-redis" in wanted:
        found.append(Row(TARGETS["set-redis"], *against("redis", SHARED)))
    if "set-one" in wanted:
        found.append(Row(TARGETS["set-one"], *against("append", 1)))
    rate = f"set-{SHARED}"
    if "set-rate" in wanted:
        found.append(against_best(TARGETS["set-rate"], measured, rate, PEER_NAMES, False, unit="/s"))
    if "set-cost" in wanted:
        found.append(against_best(TARGETS["set-cost"], measured, f"{rate}-cost", PEER_NAMES, True, MICRO, " µs"))
    if "set-clients" in wanted:
        names = {clients: f"service-set-{clients}" for clients in CLIENTS}
        faults = measured.faults_of(*names.values())
        rate = {clients: measured.values[name] for clients, name in names.items()}
        rise = [shared / max(one, few) for one, few, shared in zip(rate[1], rate[8], rate[64], strict=True)]
        hold = [many / shared for shared, many in zip(rate[64], rate[256], strict=True)]
        note = ", ".join(f"{clients}: {measured.median(name):,.0f}/s" for clients, name in names.items())
        found.append(Row(TARGETS["set-clients-rise"], rise, faults, note))
        found.append(Row(TARGETS["set-clients-hold"], hold, faults))
    return found
