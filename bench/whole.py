"""The process as a whole: how soon it is ready, what it holds, and what becomes of its costs as the register grows."""

from lists import list_seconds, offers
from load import Run
from measure import Row, Rounds
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
    for size in sizes:
        for number in range(world.rounds):
            with world.service(size) as service:
                measured.add(f"start-{size}", Run(service.seconds_to_ready), number)
                if number == 0:
                    lists(world, service, size, measured)
        with world.service(size, writable=True) as service:
            wrk = world.wrk_for(size)
            wrk.measure(service.port, "put", 1)
            for number in range(world.rounds):
                measured.add(f"put-{size}", wrk.measure(service.port, "put", world.seconds)[0], number)

    def growth(cost):
        costs = {size: cost(size) for size in sizes}
        return max(costs[large] / costs[small] for small in sizes for large in sizes if large > small)

    def note(name, unit, scaling=1):
        return ", ".join(f"{size:,}: {measured.median(f'{name}-{size}') * scaling:,.3g} {unit}" for size in sizes)

    return [
        Row(TARGETS["scale-list"], [max(
            growth(lambda size: measured.median(f"list-plain-{size}") / size),
            growth(lambda size: measured.median(f"list-gzip-{size}") / size))],
            note=note("list-plain", "s")),
        Row(TARGETS["scale-start"], [growth(lambda size: measured.median(f"start-{size}") / size)],
            note=note("start", "s")),
        Row(TARGETS["scale-write"], [growth(lambda size: 1 / measured.median(f"put-{size}"))],
            measured.faults, note("put", "/s")),
    ], measured.values


def lists(world, service, size, measured):
    """The plain and the gzip list, once to warm up and then in turn."""
    token = world.fixtures.token
    for coding in (None, "gzip"):
        list_seconds(service.port, token, coding)
    for number in range(world.rounds):
        for coding in (None, "gzip"):
            measured.add(f"list-{coding or 'plain'}-{size}",
                         Run(list_seconds(service.port, token, coding)), number)
