"""The option --rounds, the sites under test, and the table at the end."""

import os
import statistics
import tempfile
import time
from pathlib import Path

import pytest

import proxies
from clusters import PASSWORD, DATABASE, ROLE, Patroni, PgAutoFailover
from load import DEADLINE, Load
from network import make_bridge, remove_machines, wait_for
from service import Service

# Seconds after a promotion until the first caller is served, and until an answer: the median of several rounds. A single round
# shares two cores with other tests, so it shows that service comes back, and not how fast.
PROMISED, ONE_ROUND = {"writes after it": 3, "reads after it": 2, "slowest answer": DEADLINE + 1}, 15
# Between the return of all callers and the next fault.
REST = 1

TABLE = []


def pytest_addoption(parser):
    """How often."""
    parser.addoption("--rounds", type=int, default=1, help="how often each fault is made (default: once)")


# What a single round leaves out, so that CI has the rest in minutes: each fault of a primary is made with one tool at least.
LEFT_OUT = {"pg_auto_failover": ["killed (-9)", "frozen", "instance"], "Patroni": ["cut off"],
            "Patroni, HAProxy": ["killed", "frozen", "decides", "alone"]}


def pytest_collection_modifyitems(config, items):
    """Leaves out what one round leaves out, unless a test is asked for by name."""
    if config.getoption("rounds") == 1 and not config.getoption("keyword"):
        items[:] = [item for item in items if "site" not in item.fixturenames
                    or not any(word in item.name for word in LEFT_OUT[item.callspec.params["site"]])]


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
        row = {"fault": fault, "tool": self.name, **self.load.seen(since, until)}
        if at:
            row["until promoted"] = at - since
            row |= {"writes after it": self.load.back(True, at), "reads after it": self.load.back(False, at)}
        TABLE.append(row)
        print(row)
        self.load.assert_right(fault)
        for column, promised in PROMISED.items():
            values = [row[column] for row in TABLE if (row["fault"], row["tool"]) == (fault, self.name) and column in row]
            assert not values or statistics.median(values) <= (promised if len(values) > 2 else ONE_ROUND), f"{fault}, {column}: {values}"
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


COLUMNS = ["without writes", "without reads", "until promoted", "writes after it", "reads after it", "slowest answer"]


def pytest_terminal_summary(terminalreporter):
    """Seconds as the callers saw them: the median and, with several rounds, the worst. A lost login fails the test."""
    groups = {}
    for row in TABLE:
        groups.setdefault((row["fault"], row["tool"]), []).append(row)
    lines = [["fault", "tool", "rounds", *COLUMNS, "lost"], ["---"] * (len(COLUMNS) + 4)]
    for named, rows in groups.items():
        cells = []
        for values in ([row[column] for row in rows if column in row] for column in COLUMNS):
            worst = f" ({max(values):.1f})" if len(values) > 1 else ""
            cells.append(f"{statistics.median(values):.1f}{worst}" if values else "–")
        lines.append([*named, str(len(rows)), *cells, "0"])
    terminalreporter.write_line("")
    for cells in lines:
        terminalreporter.write_line(f"| {' | '.join(cells)} |")
