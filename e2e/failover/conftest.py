"""The option --rounds, the sites under test, and the table at the end."""

import os
import statistics
import tempfile
import time
from pathlib import Path

import pytest

import proxies
from clusters import PASSWORD, DATABASE, ROLE, Patroni, PgAutoFailover
from load import Load
from network import make_bridge, remove_machines, wait_for
from service import Service

# What is promised after a promotion, as the first caller sees it: the median of several rounds. One round on a busy machine
# may take longer.
WRITES_BACK, READS_BACK, ONE_ROUND = 3, 2, 10
# Between the return of all callers and the next fault.
REST = 1

TABLE = []


def pytest_addoption(parser):
    """How often."""
    parser.addoption("--rounds", type=int, default=1, help="how often each fault is made (default: once)")


# What one round makes of the clusters, so that CI has it in minutes; several rounds make everything.
ONCE = {"pg_auto_failover": ["primary_killed"], "Patroni": [], "Patroni, HAProxy": []}


def pytest_collection_modifyitems(config, items):
    """Leaves out what one round leaves out, unless a test is asked for by name."""
    if config.getoption("rounds") == 1 and not config.getoption("keyword"):
        items[:] = [item for item in items if "site" not in item.fixturenames
                    or any(name in item.name for name in ONCE[item.callspec.params["site"]])]


@pytest.fixture(scope="session")
def rounds(request):
    """How often each fault is made."""
    return request.config.getoption("rounds")


@pytest.fixture(scope="session")
def place():
    """A directory that the ordinary user may enter, with the network made. In memory: disks are not what is tried."""
    make_bridge()
    with tempfile.TemporaryDirectory(dir="/mnt") as directory:
        os.chmod(directory, 0o755)
        yield Path(directory)
        remove_machines()


@pytest.fixture(scope="session")
def certificate(place):
    """What the proxies show."""
    return proxies.Certificate(place)


class Site:
    """A cluster, three instances on it, HAProxy before them, and callers who call all the time."""

    def __init__(self, name, cluster, binary, directory, certificate, url, rounds):
        self.name, self.cluster, self.rounds = name, cluster, rounds
        self.instances = instances(binary, directory, url)
        self.token = self.instances[0].token("STAR", "AlleBorgere")
        port, self.proxy = proxies.haproxy(directory, certificate, self.instances)
        self.load = Load(port, certificate.context, self.token)

    def stop(self):
        """Ends what it started."""
        self.proxy.stop()
        for instance in self.instances:
            instance.stop()

    def steady(self):
        """Waits until the cluster is whole and every caller is served."""
        wait_for(f"a whole cluster: {self.cluster.log()}", self.cluster.is_whole, 120)
        since = time.time()
        wait_for("every caller", lambda: self.load.all_since(since), 30)
        time.sleep(REST)

    def fault(self, fault, change, promotes=(), lasts=0):
        """Makes a change under load, waits for what it brings, and notes what the callers saw of it."""
        promoted = self.cluster.watch(promotes) if promotes else None
        since = time.time()
        change()
        at = promoted() if promoted else None
        time.sleep(lasts)
        back = at or time.time()
        wait_for("every caller", lambda: self.load.all_since(back), 60)
        until = time.time()
        row = {"fault": fault, "tool": self.name, "writes": self.load.pause(True, since, until),
               "reads": self.load.pause(False, since, until), "answers": self.load.answers(since, until)}
        if at:
            row |= {"promoted": at - since, "writes_back": self.load.back(True, at), "reads_back": self.load.back(False, at)}
        TABLE.append(row)
        print(row)
        self.load.assert_right(fault)
        for value, promised in (("writes_back", WRITES_BACK), ("reads_back", READS_BACK)) if at else ():
            rows = [row[value][0] for row in TABLE if row["fault"] == fault and row["tool"] == self.name]
            assert statistics.median(rows) <= (promised if len(rows) > 2 else ONE_ROUND), f"{fault}, {value}: {rows}"
        time.sleep(REST)

    def check(self, when):
        """Everything that was ever answered is seen through every instance."""
        for number, instance in enumerate(self.instances, 1):
            self.load.history.check_list(instance, self.token, f"{when}, instance {number}")
        self.load.assert_right(when)


def instances(binary, directory, url):
    """Three instances on one connection string."""
    started = []
    for number in (1, 2, 3):
        home = directory / f"instance{number}"
        home.mkdir()
        started.append(Service(binary, home, store=f'kind = "postgres"\nurl = "{url}"', server='trusted_proxies = ["127.0.0.1"]',
                               key=started[0].key if started else None))
    return started


@pytest.fixture(scope="session")
def clusters(place):
    """Each cluster, made when it is first needed, one at a time."""
    made = {}

    def cluster(kind):
        if kind not in made:
            remove_machines()
            made.clear()
            (place / kind.name).mkdir()
            made[kind] = kind(place / kind.name)
        return made[kind]
    return cluster


@pytest.fixture(scope="module", params=["pg_auto_failover", "Patroni", "Patroni, HAProxy"])
def site(request, clusters, place, binary, certificate, rounds):
    """A site whose callers call for as long as its tests run."""
    cluster = clusters(PgAutoFailover if request.param == "pg_auto_failover" else Patroni)
    directory = place / f"site {request.param}"
    directory.mkdir()
    url, proxy = cluster.url, None
    if "HAProxy" in request.param:
        port, proxy = proxies.database(directory, cluster.nodes)
        url = f"postgresql://{ROLE}:{PASSWORD}@127.0.0.1:{port}/{DATABASE}?sslmode=disable"
    running = Site(request.param, cluster, binary, directory, certificate, url, rounds)
    with running.load:
        yield running
    running.stop()
    if proxy:
        proxy.stop()


def pytest_terminal_summary(terminalreporter):
    """Seconds as the callers saw them: the median and, with several rounds, the worst."""
    def seconds(rows, value):
        values = [value(row) for row in rows if value(row) is not None]
        if not values:
            return "–"
        median = f"{statistics.median(values):.1f}"
        return median if len(values) == 1 else f"{median} ({max(values):.1f})"

    groups = {}
    for row in TABLE:
        groups.setdefault((row["fault"], row["tool"]), []).append(row)
    columns = [("without writes", lambda row: row["writes"]), ("without reads", lambda row: row["reads"]),
               ("until promoted", lambda row: row.get("promoted")),
               ("writes after it: first", lambda row: row.get("writes_back", [None])[0]),
               ("last caller", lambda row: row.get("writes_back", [None, None])[1]),
               ("reads after it: first", lambda row: row.get("reads_back", [None])[0]),
               ("last caller", lambda row: row.get("reads_back", [None, None])[1])]
    print_line = terminalreporter.write_line
    print_line("")
    print_line(f"| fault | tool | {' | '.join(name for name, _ in columns)} | answers | lost |")
    print_line(f"|---|---|{'---|' * len(columns)}---|---|")
    for (fault, tool), rows in groups.items():
        answers = {}
        for row in rows:
            for status, count in row["answers"].items():
                answers[status] = answers.get(status, 0) + count
        told = ", ".join(f"{count} × {status}" for status, count in sorted(answers.items(), key=str))
        print_line(f"| {fault} | {tool} | {' | '.join(seconds(rows, value) for _, value in columns)} | {told} | 0 |")
