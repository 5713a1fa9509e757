"""The process as a whole: how soon it is ready, what it holds, and what becomes of its costs as the register grows."""

from contextlib import ExitStack

from lists import CODINGS, list_seconds, offers
from load import Run
from measure import Row, Rounds, interleave
from processes import resident
from targets import TARGETS

MEGABYTE = 1_000_000
SIZES = (100_000, 1_000_000, 5_000_000)


def start_and_memory(world, wanted):
    """start, memory: a fresh process each round."""
    measured = Rounds()
    token = world.fixtures.token
    for number in range(world.rounds):
        with world.service() as service:
            measured.add("start", Run(service.seconds_to_ready), number)
            measured.add("memory-ready", Run(resident(service.pid) / MEGABYTE), number)
            if "memory" in wanted:
                list_seconds(service.port, token)
                # Each coding twice: what is kept ready made is there after the first.
                for coding in ("gzip", "gzip", "zstd", "zstd"):
                    if offers(service, token, coding):
                        list_seconds(service.port, token, coding)
                measured.add("memory-lists", Run(resident(service.pid) / MEGABYTE), number)
    rows = [Row(TARGETS[name], measured.values[name])
            for name, group in (("start", "start"), ("memory-ready", "memory"), ("memory-lists", "memory"))
            if group in wanted]
    return rows, measured.values


def scale(world, _):
    """scale: a record's cost in lists and at start, a write's cost, at growing sizes.

    A ratio above 1 says that a record costs more in a larger register. What is the same at any size (the start of a
    process) weighs on the smallest alone, where it only makes the record look dearer.
    """
    sizes = SIZES[:2] if world.quick else SIZES
    measured = Rounds()
    for number in range(world.rounds):
        for size in sizes:
            with world.service(size) as service:
                measured.add(f"start-{size}", Run(service.seconds_to_ready), number)
    # All sizes run at once, so that they can be measured in turn; those that are not asked do nothing.
    with ExitStack() as started:
        services = {size: started.enter_context(world.service(size, writable=True)) for size in sizes}
        lists(world, services, measured)
        puts = {f"put-{size}": put(world, service, size) for size, service in services.items()}
        for warm_up in puts.values():
            warm_up()
        interleave(world.rounds, puts, measured)

    def growth(cost):
        costs = {size: cost(size) for size in sizes}
        return max(costs[large] / costs[small] for small in sizes for large in sizes if large > small)

    def note(name, unit):
        return ", ".join(f"{size:,}: {measured.median(f'{name}-{size}'):,.4g} {unit}" for size in sizes)

    def list_growth(coding):
        return growth(lambda size: measured.median(f"list-{coding}-{size}") / size)

    return [
        Row(TARGETS["scale-list"], [max(list_growth("plain"), list_growth("gzip"))],
            note=f"plain {list_growth('plain'):.2f}×, gzip {list_growth('gzip'):.2f}×"),
        Row(TARGETS["scale-start"], [growth(lambda size: measured.median(f"start-{size}") / size)],
            note=note("start", "s")),
        Row(TARGETS["scale-write"], [growth(lambda size: 1 / measured.median(f"put-{size}"))],
            measured.faults, note("put", "/s")),
    ], measured.values


def lists(world, services, measured):
    """The list of each register in each form, once to warm up and then in turn."""
    token = world.fixtures.token
    contestants = {}
    for size, service in services.items():
        for coding in CODINGS:
            if coding is None or offers(service, token, coding):
                list_seconds(service.port, token, coding)
                contestants[f"list-{coding or 'plain'}-{size}"] = (
                    lambda port=service.port, coding=coding: Run(list_seconds(port, token, coding)))
    interleave(world.rounds, contestants, measured)


def put(world, service, size):
    """A measurement of SetLogins a second, over the companies of a register of this size."""
    wrk = world.wrk_for(size)
    return lambda: wrk.measure(service.port, "put", world.seconds)[0]
