"""GetLogin and the unchanged list, measured against the cheapest answer there is and against a peer."""

import math
import signal
import time
from statistics import median

from lists import list_seconds
from load import CLIENTS, Run
from measure import Row, Rounds, interleave
from processes import Failed, cpu_seconds, status_of
from targets import TARGETS
from world import CLIENT_CORE, SERVER_CORE
from writes import CLIENTS as PLOTTED_CLIENTS

# More than the aim, so that the tokens of a run last it out also when the service does better than that.
MISSES_BY_CONSTANT = 0.25
# How often the tokens are doubled when they did not.
MORE_TOKENS = 3


def pinned_reads(world, wanted):
    """get-hit, get-miss and not-modified: one worker on one core, the client on the other.

    The constant is `/livez` of the same process: the same HTTP server, and nothing to do.
    """
    # Contestant → processor time of the service for each answer, run by run.
    costs = {}
    with world.service(workers=1, core=SERVER_CORE) as service:
        def measure(name, port, kind, seconds=world.seconds, **request):
            before = cpu_seconds(service.pid)
            run = world.wrk.measure(port, kind, seconds, core=CLIENT_CORE, **request)[0]
            costs.setdefault(name, []).append((cpu_seconds(service.pid) - before) / max(1, run.value * seconds))
            return run

        def constant(seconds=world.seconds, name="constant"):
            return measure(name, service.management, "fixed", seconds, path="/livez")

        def hit():
            return measure("get-hit", service.port, "get")

        def miss():
            for _ in range(MORE_TOKENS):
                forget_tokens(service)
                run = measure("get-miss", service.port, "miss")
                # Requests that were under way at the end have taken a token, too.
                if run.value * world.seconds + CLIENTS < tokens.count:
                    break
                # All were used up, and what came after was refused: that run says nothing.
                costs["get-miss"].pop()
                tokens.write(2 * tokens.count)
            return run

        def unchanged():
            headers = (("Authorization", f"Bearer {world.fixtures.token}"), ("If-None-Match", tag))
            return measure("not-modified", service.port, "fixed", path="/v1/Logins", headers=headers, expected=304)

        contestants = {"constant": constant}
        if "get-hit" in wanted:
            contestants["get-hit"] = hit
        if "get-miss" in wanted:
            tokens = NewTokens(world)
            tokens.write(math.ceil(constant(1, "warm-up").value * MISSES_BY_CONSTANT) * world.seconds)
            contestants["get-miss"] = miss
        if "not-modified" in wanted:
            tag = list_tag(service, world.fixtures.token)
            contestants["not-modified"] = unchanged
        constant(1, "warm-up")
        measured = interleave(world.rounds, contestants)
    rows = [Row(TARGETS[name], measured.ratio(name, "constant"), measured.faults_of(name, "constant"),
                f"by processor time {median(costs['constant']) / median(costs[name]):.2f}× "
                f"({median(costs[name]) * 1e6:.1f} µs an answer)" if costs[name] else "")
            for name in contestants if name != "constant"]
    return rows, measured.values


class NewTokens:
    """Tokens for one run of which none is used twice."""

    def __init__(self, world):
        self.world = world
        self.count = 0

    def write(self, count):
        """Makes so many, in the file that wrk reads."""
        self.count = count
        (self.world.directory / "tokens.txt").write_text("\n".join(self.world.fixtures.tokens(count)) + "\n")


def forget_tokens(service):
    """SIGHUP empties the service's memory of verified tokens."""
    log = service.process.log_path
    # What the service logs when it is done.
    marker = "audit file are reloaded"
    before = log.read_text().count(marker)
    service.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 5
    while log.read_text().count(marker) == before:
        if time.monotonic() > deadline:
            raise Failed("the service did not say that it reloaded after SIGHUP")
        time.sleep(0.01)


def list_tag(service, token):
    """The entity tag of the list."""
    status, _, headers = status_of(service.port, "/v1/Logins", {"Authorization": f"Bearer {token}"}, "HEAD")
    tag = {name.lower(): value for name, value in headers.items()}.get("etag")
    if status != 200 or not tag:
        raise Failed(f"HEAD /v1/Logins answers {status} with the entity tag {tag}")
    return tag


def against_fastify(world, _):
    """get-peer: both with two workers, neither pinned, the token known to both."""
    with world.service() as service, world.fastify() as peer:
        world.wrk.measure(peer, "get", world.warm_up)
        world.wrk.measure(service.port, "get", 1)
        measured = interleave(world.rounds, {
            "service-get": lambda: world.wrk.measure(service.port, "get", world.seconds)[0],
            "fastify-get": lambda: world.wrk.measure(peer, "get", world.seconds)[0],
        })
    row = Row(TARGETS["get-peer"], measured.ratio("service-get", "fastify-get"), measured.faults)
    return [row], measured.values


def against_fastapi(world, _):
    """The FastAPI peer, for information: all three methods, and its durable writes for the plot."""
    rounds, token = Rounds(), world.fixtures.token
    with world.service(writable=True) as service, world.fastapi() as peer:
        def rate(port, kind, clients=CLIENTS):
            return world.wrk.measure(port, kind, world.seconds, clients)[0]

        for kind in ("get", "put"):
            world.wrk.measure(peer, kind, world.warm_up)
        interleave(world.rounds, {"service-beside-fastapi-get": lambda: rate(service.port, "get"),
                                  "fastapi-get": lambda: rate(peer, "get")}, rounds)
        for clients in PLOTTED_CLIENTS:
            contestants = {f"fastapi-set-{clients}": lambda clients=clients: rate(peer, "put", clients)}
            if clients == CLIENTS:
                contestants["service-beside-fastapi-set"] = lambda: rate(service.port, "put")
            interleave(world.rounds, contestants, rounds)
        # One round: its list takes seconds.
        interleave(1, {"service-beside-fastapi-list": lambda: Run(list_seconds(service.port, token)),
                       "fastapi-list": lambda: Run(list_seconds(peer, token))}, rounds)
    pairs = (("fastapi-get", "service-beside-fastapi-get", "fastapi-get"),
             ("fastapi-set", "service-beside-fastapi-set", f"fastapi-set-{CLIENTS}"),
             ("fastapi-list", "fastapi-list", "service-beside-fastapi-list"))
    rows = [Row(TARGETS[name], rounds.ratio(upper, lower), rounds.faults_of(upper, lower))
            for name, upper, lower in pairs]
    return rows, rounds.values
