"""GetLogin and the unchanged list, measured against the cheapest answer there is and against the peers."""

import math
import signal
import time
from contextlib import ExitStack

from load import CLIENTS, with_cost
from measure import Row, against_best, interleave
from processes import Failed, status_of
from targets import TARGETS
from tools import PEER_NAMES
from world import CLIENT_CORE, SERVER_CORE

# More than the aim, so that the tokens of a run last it out also when the service does better than that.
MISSES_BY_CONSTANT = 0.25
# How often the tokens are doubled when they did not.
MORE_TOKENS = 3
MICRO = 1e6


def pinned_reads(world, wanted):
    """get-hit, get-miss, not-modified and get-cost: one worker on one core, the client on the other.

    The constant is `/livez` of the same process: the same HTTP server, and nothing to do.
    """
    with ExitStack() as started:
        service = started.enter_context(world.service(workers=1, core=SERVER_CORE))

        def load(server, kind, seconds=world.seconds, port=None, **request):
            return with_cost(server.pid, lambda: world.wrk.measure(
                port or server.port, kind, seconds, core=CLIENT_CORE, **request))

        def constant(seconds=world.seconds):
            return load(service, "fixed", seconds, service.management, path="/livez")

        def miss():
            for _ in range(MORE_TOKENS):
                forget_tokens(service)
                found = load(service, "miss")
                # Requests that were under way at the end have taken a token, too.
                if found[""].value * world.seconds + CLIENTS < tokens.count:
                    break
                # All were used up, and what came after was refused: that run says nothing.
                tokens.write(2 * tokens.count)
            return found

        def unchanged():
            headers = (("Authorization", f"Bearer {world.fixtures.token}"), ("If-None-Match", tag))
            return load(service, "fixed", path="/v1/Logins", headers=headers, expected=304)

        constant(1)
        contestants = {"constant": constant}
        if {"get-hit", "get-cost"} & wanted:
            contestants["service-pinned"] = lambda: load(service, "get")
        if "get-cost" in wanted:
            for name, peer in started.enter_context(world.peers(SERVER_CORE)).items():
                load(peer, "get", world.warm_up)
                contestants[f"{name}-pinned"] = lambda peer=peer: load(peer, "get")
        if "get-miss" in wanted:
            tokens = NewTokens(world)
            tokens.write(math.ceil(constant(1)[""].value * MISSES_BY_CONSTANT) * world.seconds)
            contestants["get-miss"] = miss
        if "not-modified" in wanted:
            tag = list_tag(service, world.fixtures.token)
            contestants["not-modified"] = unchanged
        measured = interleave(world.rounds, contestants)
    rows = [by_constant(TARGETS[row], measured, name) for row, name in
            (("get-hit", "service-pinned"), ("get-miss", "get-miss"), ("not-modified", "not-modified")) if row in wanted]
    if "get-cost" in wanted:
        rows.append(against_best(TARGETS["get-cost"], measured, "pinned-cost", PEER_NAMES, True, MICRO, " µs"))
    return rows, measured.values


def by_constant(target, measured, name):
    """A row of the constant answer's processor time by that of another."""
    rate = measured.median(name) / measured.median("constant")
    note = (f"{measured.median(f'{name}-cost') * MICRO:.1f} µs an answer, the constant "
            f"{measured.median('constant-cost') * MICRO:.1f} µs; by rate {rate:.2f}×")
    return Row(target, measured.ratio("constant-cost", f"{name}-cost"), measured.faults_of("constant", name), note)


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


def against_peers(world, _):
    """get-rate: all with two workers, none pinned, the token known to all."""
    with world.service() as service, world.peers() as peers:
        servers = {"service": service, **peers}
        for server in servers.values():
            world.wrk.measure(server.port, "get", world.warm_up)
        measured = interleave(world.rounds, {
            f"{name}-get": lambda server=server: with_cost(
                server.pid, lambda: world.wrk.measure(server.port, "get", world.seconds))
            for name, server in servers.items()})
    return [against_best(TARGETS["get-rate"], measured, "get", PEER_NAMES, False, unit="/s")], measured.values


def behind_nginx(world, _):
    """get-nginx: the service as it is deployed, over a Unix socket, and the peers over TCP, each behind an nginx."""
    path = world.directory / "api.sock"
    with ExitStack() as started:
        servers = {"service": started.enter_context(world.service(socket_path=path)),
                   **started.enter_context(world.peers())}
        contestants = {}
        for name, server in servers.items():
            upstream = f"unix:{path}" if name == "service" else f"127.0.0.1:{server.port}"
            port = started.enter_context(world.proxy(upstream))
            world.wrk.measure(port, "get", world.warm_up)
            contestants[f"{name}-nginx"] = lambda server=server, port=port: with_cost(
                server.pid, lambda: world.wrk.measure(port, "get", world.seconds))
        measured = interleave(world.rounds, contestants)
    return [against_best(TARGETS["get-nginx"], measured, "nginx", PEER_NAMES, False, unit="/s"),
            against_best(TARGETS["get-nginx-cost"], measured, "nginx-cost", PEER_NAMES, True, MICRO, " µs")], measured.values
