"""GetLogins: how long the list takes in each form, how soon it begins, what it costs while it is sent."""

import random
import socket
import threading
import time
import zlib
from statistics import median

from fixtures import company
from load import Run, fetch, gunzipped, start_fetching
from measure import Row, Rounds, against_best, interleave
from processes import Failed, forget_peak, resident, run, status_of
from targets import TARGETS
from tools import PEER_NAMES

PATH = "/v1/Logins"
# As it is, and what it may be compressed as.
CODINGS = (None, "gzip", "zstd")
CHANGES = 1000
# How often a list is fetched in each round.
FETCHES = 3
SLOW_READERS = 100
MIB = 1 << 20


def list_seconds(port, token, coding=None):
    """How long the whole list takes."""
    fetched = fetch(port, PATH, token, coding)
    if fetched.status != 200:
        raise Failed(f"the list is answered {fetched.status}")
    return fetched.total


def offers(service, token, coding):
    """Whether the service sends the list in this coding."""
    _, _, headers = status_of(
        service.port, PATH, {"Authorization": f"Bearer {token}", "Accept-Encoding": coding}, "HEAD")
    return headers.get("content-encoding", headers.get("Content-Encoding")) == coding


def list_times(world, wanted):
    """list-plain, list-gzip, list-zstd, list-size and list-changed."""
    token = world.fixtures.token
    files = world.directory / "files"
    files.mkdir(exist_ok=True)
    plain, packed = files / "list.json", files / "list.json.gz"
    measured, rows = Rounds(), []
    with world.service(writable=True) as service, world.nginx(files) as nginx:
        fetch(service.port, PATH, token, output=plain)
        size = plain.stat().st_size
        if size < 100 * world.records:
            raise Failed(f"the list has only {size} bytes")
        run(["gzip", "-6", "-k", "-f", plain])
        codings = {"list-plain": None, "list-gzip": "gzip", "list-zstd": "zstd"}
        for name, coding in codings.items():
            if name not in wanted:
                continue
            if coding and not offers(service, token, coding):
                rows.append(Row(TARGETS[name], [], note="not offered"))
                continue
            ours = fetch(service.port, PATH, token, coding, world.directory / "answer").bytes
            theirs = size if coding is None else packed.stat().st_size
            nginx_coding = coding and "gzip"
            interleave(world.rounds, {
                f"service-{name}": lambda ours=ours, coding=coding: timed(service.port, PATH, token, coding, ours),
                f"nginx-{name}": lambda theirs=theirs, coding=nginx_coding: timed(
                    nginx, "/list.json", None, coding, theirs),
            }, measured)
            rows.append(Row(TARGETS[name], measured.ratio(f"nginx-{name}", f"service-{name}"),
                            measured.faults_of(f"nginx-{name}", f"service-{name}")))
        if "list-size" in wanted:
            rows.append(list_size(world, service, plain, packed))
        if "list-changed" in wanted:
            rows.append(list_changed(world, service, plain.read_bytes(), measured))
    return rows, measured.values


def against_peers(world, _):
    """list-peer: the list of each, plain and compressed; the plain ones must be the same, byte for byte."""
    token, measured, sizes = world.fixtures.token, Rounds(), {}
    with world.service() as service, world.peers() as peers:
        servers = {"service": service, **peers}
        for coding in (None, "gzip"):
            kind = f"list-{coding or 'plain'}"
            for name, server in servers.items():
                answer = world.directory / f"list-of-{name}"
                sizes[name] = fetch(server.port, PATH, token, coding, answer).bytes
                text = gunzipped(answer.read_bytes()) if coding else answer.read_bytes()
                answer.unlink()
                if name == "service":
                    whole = text
                elif text != whole:
                    measured.faults.append(f"{name}-{kind}, its list: not the service's, byte for byte")
            interleave(world.rounds, {
                f"{name}-{kind}": lambda name=name, server=server, coding=coding: timed(
                    server.port, PATH, token, coding, sizes[name]) for name, server in servers.items()}, measured)
    return [against_best(TARGETS[row], measured, kind, PEER_NAMES, True, unit=" s")
            for row, kind in (("list-peer", "list-plain"), ("list-peer-gzip", "list-gzip"))], measured.values


def timed(port, path, token, coding, size):
    """The median time of a few answers, each of which must be whole: one alone says most about which core curl was given."""
    fetched = [fetch(port, path, token, coding) for _ in range(FETCHES)]
    faults = [f"status {answer.status} with {answer.bytes} bytes instead of {size}"
              for answer in fetched if (answer.status, answer.bytes) != (200, size)]
    return Run(median(answer.total for answer in fetched), faults)


def list_size(world, service, plain, packed):
    """The gzip list, which must unpack to the plain one, by the size of what gzip makes."""
    answer = world.directory / "answer"
    fetch(service.port, PATH, world.fixtures.token, "gzip", answer)
    data = answer.read_bytes()
    faults = [] if gunzipped(data) == plain.read_bytes() else ["the gzip list does not unpack to the plain one"]
    note = f"{len(data) / 1e6:.1f} MB of {plain.stat().st_size / 1e6:.1f} MB"
    return Row(TARGETS["list-size"], [len(data) / packed.stat().st_size], faults, note)


def list_changed(world, service, text, measured):
    """A gzip list after logins of random companies, by the time of compressing it all again."""
    token = world.fixtures.token
    draw = random.Random(1)

    def ours():
        record_logins(service.port, token, [company(draw.randrange(world.records), world.records)
                                            for _ in range(CHANGES)])
        return Run(list_seconds(service.port, token, "gzip"))

    def compressed_again():
        began = time.monotonic()
        zlib.compress(text, 6)
        return Run(time.monotonic() - began)

    # What was compressed before stays: it is the list after changes that is measured.
    list_seconds(service.port, token, "gzip")
    interleave(world.rounds, {"service-list-changed": ours, "zlib-list-changed": compressed_again}, measured)
    return Row(TARGETS["list-changed"], measured.ratio("zlib-list-changed", "service-list-changed"))


def record_logins(port, token, companies):
    """Records a login of each company."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def some(part):
        for cvr in part:
            body = f'{{"VirksomhedsLoginDto":{{"cvrNummer":"{cvr}"}}}}'
            status = status_of(port, f"/v1/Login/{cvr}", headers, "PUT", body)[0]
            if status != 204:
                faults.append(status)
    faults = []
    threads = [threading.Thread(target=some, args=(companies[at::8],)) for at in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise Failed(f"{len(faults)} logins were not recorded: {sorted(set(faults))}")


def first_byte(world, _):
    """first-byte: the first list after a start included; and the memory that lists take while they are sent."""
    token = world.fixtures.token
    measured = Rounds()
    with world.service() as service:
        codings = [coding for coding in CODINGS if coding is None or offers(service, token, coding)]
    for coding in codings:
        name = coding or "plain"
        with world.service() as service:
            for number in range(world.rounds):
                measured.add(f"first-byte-{name}", first_byte_of(service, token, coding), number)
            for number in range(world.rounds):
                measured.add(f"memory-{name}", Run(added(
                    service.pid, lambda: list_seconds(service.port, token, coding)) / MIB), number)
            if coding is None:
                # What the service keeps of a compressed list is not the readers' doing.
                list_seconds(service.port, token, "gzip")
                measured.add("slow-readers", Run(added(
                    service.pid, lambda: read_slowly(world, service.port)) / MIB), 0)
    firsts = [value for name, values in measured.values.items() if name.startswith("first-byte") for value in values]
    lists = [value for name, values in measured.values.items() if name.startswith("memory-") for value in values]
    note = "codings: " + ", ".join(coding or "plain" for coding in codings)
    return [Row(TARGETS["first-byte"], [max(firsts)], measured.faults, note),
            Row(TARGETS["first-byte-memory"], [max(lists)]),
            Row(TARGETS["first-byte-slow"], measured.values["slow-readers"])], measured.values


def first_byte_of(service, token, coding):
    """Milliseconds to the first byte of a list."""
    fetched = fetch(service.port, PATH, token, coding)
    return Run(fetched.first_byte * 1000, [] if fetched.status == 200 else [f"status {fetched.status}"])


def added(pid, work):
    """By how many bytes the resident memory of a process rises at most while something is done."""
    forget_peak(pid)
    before = resident(pid)
    work()
    return max(0, resident(pid, "VmHWM") - before)


def read_slowly(world, port):
    """Many clients that ask for the list and read a few kilobytes a second of it, half of them compressed."""
    token, readers = world.fixtures.token, []
    try:
        for number in range(SLOW_READERS):
            coding = "gzip" if number % 2 else "identity"
            # A small window, so that it is the service that holds what was not read, not the kernel.
            reader = socket.socket()
            readers.append(reader)
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
            reader.settimeout(10)
            reader.connect(("127.0.0.1", port))
            reader.sendall(f"GET {PATH} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
                           f"Accept-Encoding: {coding}\r\n\r\n".encode())
        for _ in range(3 if world.quick else 8):
            for reader in readers:
                if not reader.recv(4096):
                    raise Failed("the service hung up on a slow reader")
            time.sleep(1)
    finally:
        for reader in readers:
            reader.close()


def tail(world, _):
    """tail: GetLogin of eight clients, alone and beside four lists that are fetched over and over."""
    token = world.fixtures.token
    with world.service() as service:
        def alone():
            return world.wrk.measure(service.port, "get", world.seconds, clients=8)[1]

        def beside_lists():
            with Fetching(service.port, token, world.seconds + 20) as lists:
                found = world.wrk.measure(service.port, "get", world.seconds, clients=8)[1]
            return Run(found.value, found.faults + lists.faults)

        list_seconds(service.port, token, "gzip")
        alone()
        measured = interleave(world.rounds, {"p99-alone": alone, "p99-beside-lists": beside_lists})
    note = (f"{measured.median('p99-alone') * 1000:.2f} ms alone, "
            f"{measured.median('p99-beside-lists') * 1000:.2f} ms beside")
    return [Row(TARGETS["tail"], measured.ratio("p99-beside-lists", "p99-alone"), measured.faults, note)
            ], measured.values


class Fetching:
    """Four clients that fetch lists over and over, two of them compressed, until the measurement is done."""

    def __init__(self, port, token, timeout):
        self.port, self.token, self.timeout = port, token, timeout
        self.stopped = threading.Event()
        self.faults = []
        self.threads = [threading.Thread(target=self.fetch, args=(coding,))
                        for coding in ("identity", "gzip", "identity", "gzip")]

    def fetch(self, coding):
        """One client."""
        while not self.stopped.is_set():
            curl = start_fetching(self.port, PATH, self.token, coding, self.timeout)
            while curl.poll() is None and not self.stopped.wait(0.02):
                pass
            # The list that is under way when the measurement ends is not waited for.
            if curl.poll() is None:
                curl.terminate()
                curl.communicate()
            elif (status := curl.communicate()[0]) != "200":
                self.faults.append(f"a list beside it was answered {status}")

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        for thread in self.threads:
            thread.join()
