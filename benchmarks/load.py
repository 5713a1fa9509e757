"""Asks and measures: wrk for rates, redis-benchmark for redis, curl for lists.

Every function says when an answer was not the expected one: a server that answers 401 looks fast.
"""

import json
import subprocess
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from fixtures import FIRST_COMPANY, company, step
from processes import Failed, cpu_seconds, has_connections, pinned, run, status_of

# How many ask at once, where a row does not say otherwise.
CLIENTS = 64
CLOSE_SECONDS = 2
SCRIPT = Path(__file__).with_name("requests.lua")


@dataclass
class Run:
    """One measurement: a value, and what was wrong with it (nothing, when it counts)."""
    value: float
    faults: list = field(default_factory=list)


class Wrk:
    """Loads one server with wrk: one thread, closed loop."""

    def __init__(self, directory, token, records):
        self.directory = directory
        self.token = token
        self.records = records
        self.seed = 0
        (directory / "token.txt").write_text(token + "\n")

    def measure(self, port, kind, seconds, clients=CLIENTS, path="/", headers=(), core=None, expected=200):
        """Requests a second, the slowest 1 % in seconds and the number of requests, as three `Run`s."""
        self.check(port, kind, path, headers, expected)
        # The management listener takes no more connections than a run has: those before it must be closed.
        deadline = time.monotonic() + CLOSE_SECONDS
        while has_connections(port) and time.monotonic() < deadline:
            time.sleep(0.01)
        (self.directory / "headers.txt").write_text("".join(f"{name}: {value}\n" for name, value in headers))
        self.seed += 1
        output = run(["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "5s", "-s", SCRIPT,
                    f"http://127.0.0.1:{port}{path}", "--", kind, self.directory, self.records,
                    FIRST_COMPANY, step(self.records), self.seed], core=core, timeout=seconds + 60)
        line = [line for line in output.splitlines() if line.startswith("RESULT ")]
        if not line:
            raise Failed(f"wrk printed no result: {output[-500:]}")
        result = json.loads(line[0].removeprefix("RESULT "))
        faults = [f"{result[name]} {words}" for name, words in
                  (("bad_status", "answers of status 400 or more"), ("socket_errors", "socket errors"))
                  if result[name]]
        if result["requests"] == 0:
            faults.append("no answer at all")
        return (Run(result["requests"] / result["seconds"], faults),
                Run(result["p99_us"] / 1e6, faults),
                Run(result["requests"]))

    def check(self, port, kind, path, headers, expected):
        """Asks once, and looks at the whole answer, which wrk does not."""
        number = company(self.records // 2, self.records)
        bearer = {"Authorization": f"Bearer {self.token}"}
        if kind == "fixed":
            status, body, _ = status_of(port, path, dict(headers))
            good = status == expected and (expected == 304) == (body == b"")
        elif kind == "put":
            status, body, _ = status_of(
                port, f"/v1/Login/{number}", {**bearer, "Content-Type": "application/json"}, "PUT",
                json.dumps({"VirksomhedsLoginDto": {"cvrNummer": number}}))
            good = status == 204
        else:
            status, body, _ = status_of(port, f"/v1/Login?cvrNummer={number}", bearer)
            good = status == 200 and json.loads(body)["VirksomhedsLoginDto"]["cvrNummer"] == number
        if not good:
            raise Failed(f"the server on port {port} answers {status} {body[:200]!r} to {kind} {path}")


def with_cost(pid, load):
    """A rate, and the processor time in seconds that the server spent on each answer, as `interleave` takes them."""
    before = cpu_seconds(pid)
    rate, _, answers = load()
    return {"": rate, "-cost": Run((cpu_seconds(pid) - before) / max(1, answers.value))}


def redis_set(port, clients, requests):
    """SETs a second of redis, of random keys among as many as there are companies."""
    output = run(["redis-benchmark", "-p", port, "-c", clients, "-n", requests, "-r", 1_000_000,
                "-d", 16, "-t", "set", "--csv"])
    rates = [line.split(",")[1].strip('"') for line in output.splitlines() if line.startswith('"SET"')]
    if not rates:
        raise Failed(f"redis-benchmark printed no rate: {output[-500:]}")
    faults = ["redis refused some"] if "rror" in output else []
    return Run(float(rates[0]), faults)


@dataclass
class Fetched:
    """What curl reports of one answer; times in seconds."""
    status: int
    bytes: int
    first_byte: float
    total: float


def fetch(port, path, token=None, coding=None, output="/dev/null", timeout=120, headers=None):
    """Fetches a whole answer as it is on the wire: a compressed one stays compressed."""
    command = ["curl", "-s", "-o", str(output), "-w",
               "%{http_code} %{size_download} %{time_starttransfer} %{time_total}",
               "--max-time", str(timeout), f"http://127.0.0.1:{port}{path}"]
    if token:
        command += ["-H", f"Authorization: Bearer {token}"]
    if coding:
        command += ["-H", f"Accept-Encoding: {coding}"]
    for name, value in (headers or {}).items():
        command += ["-H", f"{name}: {value}"]
    status, size, first, total = run(command, timeout=timeout + 5).split()
    return Fetched(int(status), int(size), float(first), float(total))


def start_fetching(port, path, token, coding, timeout):
    """A curl that runs beside the measurement; its standard output is the status."""
    return subprocess.Popen(
        pinned(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", timeout,
                "-H", f"Authorization: Bearer {token}", "-H", f"Accept-Encoding: {coding}",
                f"http://127.0.0.1:{port}{path}"], None),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def gunzipped(data):
    """The text of a gzip answer, however many members it has."""
    text = bytearray()
    while data:
        reader = zlib.decompressobj(31)
        text += reader.decompress(data) + reader.flush()
        if not reader.eof:
            raise Failed("the gzip answer is cut short")
        data = reader.unused_data
    return bytes(text)
