"""SetLogin: every answer is on the disk, and so is that of those it is measured against."""

from contextlib import ExitStack

from load import CLIENTS as SHARED
from load import redis_set
from measure import Row, Rounds, interleave
from targets import TARGETS

CLIENTS = (1, 8, 64, 256)


def writes(world, wanted):
    """set-redis, set-peer and set-clients: one grid of contestants and clients, so that no figure is taken twice."""
    grid = CLIENTS if "set-clients" in wanted else (SHARED,)
    # The others at other numbers of clients are for the plot alone.
    plotted = "set-clients" in wanted and not world.quick
    grid_of_others = grid if plotted else (SHARED,)
    # Contestant → what measures it, and with which numbers of clients.
    runs = {}
    with ExitStack() as started:
        service = started.enter_context(world.service(writable=True))
        runs["service"] = (lambda clients: put(world, service.port, clients), grid)
        if "set-redis" in wanted or plotted:
            runs["redis"] = (redis_runs(world, started.enter_context(world.redis()), grid_of_others), grid_of_others)
        if "set-peer" in wanted or plotted:
            peer = started.enter_context(world.fastify())
            world.wrk.measure(peer, "put", world.warm_up)
            runs["fastify"] = (lambda clients: put(world, peer, clients), grid_of_others)
        world.wrk.measure(service.port, "put", 1)
        measured = Rounds()
        for clients in grid:
            interleave(world.rounds, {
                f"{name}-set-{clients}": lambda run=run, clients=clients: run(clients)
                for name, (run, numbers) in runs.items() if clients in numbers}, measured)
    return rows(measured, wanted), measured.values


def put(world, port, clients):
    """SetLogins a second."""
    return world.wrk.measure(port, "put", world.seconds, clients)[0]


def redis_runs(world, port, grid):
    """A measurement of redis, which takes a number of sets and no duration: so a first one finds its rate."""
    rates = {clients: redis_set(port, clients, 200 * clients + 1000).value for clients in grid}
    return lambda clients: redis_set(port, clients, max(1000, int(rates[clients] * world.seconds)))


def rows(measured, wanted):
    """What the grid says of each row."""
    def against(name):
        ours, theirs = f"service-set-{SHARED}", f"{name}-set-{SHARED}"
        return measured.ratio(ours, theirs), measured.faults_of(ours, theirs)

    found = []
    if "set-redis" in wanted:
        found.append(Row(TARGETS["set-redis"], *against("redis")))
    if "set-peer" in wanted:
        found.append(Row(TARGETS["set-peer"], *against("fastify")))
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
