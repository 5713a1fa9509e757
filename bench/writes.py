"""SetLogin: every answer is on the disk, and so is that of those it is measured against."""

from load import redis_set
from measure import Row, Rounds, interleave
from targets import TARGETS
from world import WARM_UP_SECONDS

CLIENTS = (1, 8, 64, 256)
SHARED = 64


def writes(world, wanted):
    """set-redis, set-peer and set-clients: one grid of contestants and clients, so that no figure is taken twice."""
    grid = CLIENTS if "set-clients" in wanted else (SHARED,)
    with world.service(writable=True) as service, world.redis() as redis, world.fastify() as peer:
        def service_run(clients):
            return world.wrk.measure(service.port, "put", world.seconds, clients)[0]

        def fastify_run(clients):
            return world.wrk.measure(peer, "put", world.seconds, clients)[0]

        def redis_run(clients, seconds=world.seconds):
            # It is told how many to set, not for how long.
            return redis_set(redis, clients, max(1000, int(redis_rate[clients] * seconds)))

        runs = {"service": service_run}
        if "set-redis" in wanted or "set-clients" in wanted:
            runs["redis"] = redis_run
            redis_rate = {clients: redis_set(redis, clients, 200 * clients + 1000).value for clients in grid}
        if "set-peer" in wanted or "set-clients" in wanted and not world.quick:
            runs["fastify"] = fastify_run
            world.wrk.measure(peer, "put", WARM_UP_SECONDS)
        world.wrk.measure(service.port, "put", 1)
        measured = Rounds()
        for clients in grid:
            interleave(world.rounds, {
                f"{name}-set-{clients}": lambda run=run, clients=clients: run(clients)
                for name, run in runs.items()}, measured)
    return rows(measured, wanted), measured.values


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
