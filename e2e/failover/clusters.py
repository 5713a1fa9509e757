"""Three PostgreSQL servers under a tool that promotes, set up with the files of deploy/failover."""

import json
import os
import signal
import urllib.request

from network import Machine, wait_for
from service import ROOT

SHIPPED = ROOT / "deploy" / "failover"
DATABASE = ROLE = "virksomhedslogin"
PASSWORD = "secret"
ADDRESSES = ["10.77.0.1", "10.77.0.2", "10.77.0.3"]
# When this server takes writes, asked again and again; also after its restart, which pg_auto_failover does before a promotion.
WATCH = ("SELECT 'writable at ' || extract(epoch FROM clock_timestamp()) WHERE NOT pg_is_in_recovery() "
         "AND current_setting('transaction_read_only') = 'off' \\watch 0.03\n")
WATCH_AGAIN = "until psql -XAtqd postgres -f watch.sql 2> watch.log | grep -m 1 writable; do sleep 0.03; done > watch"


class Cluster:
    """What the tests do with either of the two."""

    def __init__(self, directory):
        self.directory = directory
        self.nodes = [Machine(f"db{number}", number, directory) for number in (1, 2, 3)]
        self.url = (f"postgresql://{ROLE}:{PASSWORD}@{','.join(ADDRESSES)}/{DATABASE}"
                    "?target_session_attrs=read-write&sslmode=disable")

    def watch(self, nodes):
        """Reports from now on when one of these takes writes: a function that waits for that, and returns the time."""
        watching = []
        for node in nodes:
            (node.home / "watch.sql").write_text(WATCH, encoding="utf-8")
            (node.home / "watch").unlink(missing_ok=True)
            watching.append(node.start("sh", "-c", WATCH_AGAIN))

        def promoted():
            texts = [(node.home / "watch").read_text() for node in nodes if (node.home / "watch").exists()]
            return [float(text.split()[-1]) for text in texts if text.endswith("\n")]

        def wait():
            at = wait_for("a promotion", promoted, 90)[0]
            for process in watching:
                os.killpg(process.pid, signal.SIGKILL)
            return at

        return wait

    def primary(self):
        """The node that the tool takes for the primary."""
        names = self.states("primary")
        return next(node for node in self.nodes if node.name in names)

    def standbys(self):
        """The others."""
        primary = self.primary()
        return [node for node in self.nodes if node is not primary]

    def synchronous(self):
        """A standby that commits wait for: the only one, where there is only one."""
        names = self.states("synchronous")
        return next(node for node in self.nodes if node.name in names)

    def is_whole(self):
        """Whether there is a primary with two standbys that the tool would promote."""
        return len(self.states("primary")) == 1 and len(self.states("standby")) == 2 and len(self.states("synchronous")) >= 1

    def log(self):
        """The last lines of each machine's log, for a failure's report."""
        return {path.parent.name: path.read_text(errors="replace")[-1500:] for path in self.directory.glob("*/log")}


class PgAutoFailover(Cluster):
    """A monitor that decides, and a keeper beside each server that does what the monitor decided."""

    name, decides = "pg_auto_failover", "monitor"

    def __init__(self, directory):
        super().__init__(directory)
        self.monitor = Machine("monitor", 9, directory)
        self.begin(self.monitor)
        wait_for("the monitor", lambda: self.ask_monitor("SELECT 1") == ["1"])
        for node in self.nodes:
            self.begin(node)
            # The first one is the primary.
            wait_for("a node", lambda: self.ask_monitor("SELECT count(*) FROM pgautofailover.node") != ["0"])
        wait_for("two standbys", self.is_whole, 150)
        assert self.ask_monitor("SELECT number_sync_standbys FROM pgautofailover.formation") == ["1"]

    def begin(self, machine):
        """Starts the monitor or a node with the shipped script, for the first time or again."""
        words = ["monitor"] if machine is self.monitor else ["node", machine.name]
        machine.start(SHIPPED / "pg_auto_failover", *words, machine.address, self.monitor.address, PGDATA=str(machine.home / "data"),
                      SECURITY="--auth trust --no-ssl")

    def decider(self):
        """What must be there for a promotion."""
        return self.monitor

    def ask_monitor(self, sql):
        """The rows that the monitor answers."""
        try:
            return self.monitor.run("psql", "-XAtqd", "pg_auto_failover", "-c", sql).split()
        except AssertionError:
            return []

    def states(self, role):
        """The nodes that are, and are meant to be, this."""
        state = {"primary": "primary", "standby": "secondary", "synchronous": "secondary"}[role]
        return self.ask_monitor(f"SELECT nodename FROM pgautofailover.node WHERE reportedstate = '{state}' AND goalstate = '{state}' "
                                "AND health = 1")


class Patroni(Cluster):
    """Three members of etcd that keep a lock, and a Patroni beside each server that holds or waits for it."""

    name, decides = "Patroni", "etcd's leader"

    def __init__(self, directory):
        super().__init__(directory)
        self.etcd = [Machine(f"etcd{number}", 10 + number, directory) for number in (1, 2, 3)]
        text = (SHIPPED / "patroni.yml").read_text(encoding="utf-8")
        # TLS between the servers is not what is tried.
        assert "- hostssl" in text
        (directory / "patroni.yml").write_text(text.replace("- hostssl", "- host"), encoding="utf-8")
        for machine in self.etcd + self.nodes:
            self.begin(machine)
        wait_for("two standbys", self.is_whole, 150)
        primary = self.primary()
        primary.run("psql", "-Xqd", "postgres", "-c", f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'",
                    "-c", f"CREATE DATABASE {DATABASE} OWNER {ROLE}")

    def begin(self, machine):
        """Starts a member of etcd or a node, for the first time or again."""
        (self.begin_member if machine in self.etcd else self.begin_node)(machine)

    def begin_member(self, member):
        """Starts a member of etcd."""
        peer, client = f"http://{member.address}:2380", f"http://{member.address}:2379"
        cluster = ",".join(f"{each.name}=http://{each.address}:2380" for each in self.etcd)
        member.start("etcd", "--enable-v2", "--name", member.name, "--data-dir", "data", "--listen-peer-urls", peer,
                     "--listen-client-urls", client, "--initial-advertise-peer-urls", peer, "--advertise-client-urls", client,
                     "--initial-cluster", cluster)

    def begin_node(self, node):
        """Starts a Patroni with its server."""
        hosts = ",".join(f"{member.address}:2379" for member in self.etcd)
        programs = node.environment["PATH"].split(":")[0]
        node.start("patroni", self.directory / "patroni.yml", PATRONI_NAME=node.name, PATRONI_ETCD_HOSTS=hosts,
                   PATRONI_RESTAPI_CONNECT_ADDRESS=f"{node.address}:8008", PATRONI_POSTGRESQL_BIN_DIR=programs,
                   PATRONI_POSTGRESQL_CONNECT_ADDRESS=f"{node.address}:5432", PATRONI_POSTGRESQL_DATA_DIR=str(node.home / "data"),
                   PATRONI_SUPERUSER_PASSWORD=PASSWORD, PATRONI_REPLICATION_PASSWORD=PASSWORD, PATRONI_REWIND_PASSWORD=PASSWORD)

    def states(self, role):
        """The nodes that are this, as the first that answers has it from etcd."""
        roles = {"primary": ["leader"], "synchronous": ["sync_standby"], "standby": ["sync_standby", "replica"]}[role]
        for node in self.nodes:
            try:
                members = get(f"http://{node.address}:8008/cluster")["members"]
            except OSError:
                continue
            timeline = next((member.get("timeline") for member in members if member["role"] == "leader"), None)
            return [member["name"] for member in members if member["role"] in roles and member["state"] == "running"
                    and member.get("timeline") == timeline]
        return []

    def decider(self):
        """The member of etcd that the others follow."""
        for member in self.etcd:
            status = get(f"http://{member.address}:2379/v3/maintenance/status", b"{}")
            if status["header"]["member_id"] == status["leader"]:
                return member
        raise AssertionError("etcd has no leader")


def get(url, body=None):
    """What this address answers, as JSON."""
    with urllib.request.urlopen(url, body, timeout=2) as answer:
        return json.load(answer)
