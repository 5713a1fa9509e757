"""Every client keeps a copy that equals the list, and a copy that it cannot bring up to date stays as it was."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from relay import Relay
from service import ROOT, Service

SOURCES = ROOT / "examples" / "polling"
CLIENTS = ["poll.sh", "poll.py", "Poll.java"]
COMPANIES = 3000
TIMEOUT_SECONDS = 60


class Client:
    """A client with its copy, before the service."""

    def __init__(self, service, directory, name, broken=None):
        self.service, self.copy, self.relay = service, directory / "copy.json", Relay(service.port)
        text = (SOURCES / name).read_text(encoding="utf-8")
        if broken is not None:
            assert text.count(broken[0]) == 1, broken
            text = text.replace(*broken)
        program = directory / name
        program.write_text(text, encoding="utf-8")
        if name.endswith(".java"):
            subprocess.run(["javac", "-Xlint:all,-try", "-Werror", program], check=True)
        self.program = {"sh": ["bash", program], "py": ["python3", program],
                        "java": ["java", "-cp", directory, "Poll"]}[name.rpartition(".")[2]]
        self.token = directory / "token"
        self.token.write_text(service.token("JobCenter", "AlleBorgere"), encoding="ascii")

    def start(self):
        """A run in the background, as cron starts it."""
        return subprocess.Popen([*self.program, self.relay.base, self.token, self.copy], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def poll(self):
        """The exit code and the output of a run."""
        run = self.start()
        output = run.communicate(timeout=TIMEOUT_SECONDS)[0]
        return run.returncode, output

    def must_poll(self, status):
        """A run that is answered so, after which the copy equals the list."""
        code, output = self.poll()
        assert (code, output, self.relay.statuses[-1]) == (0, "", status)
        self.must_equal_the_list()

    def must_equal_the_list(self):
        """Tag and companies are those of the service, and nothing else is left in the directory."""
        answer = self.service.call("GetLogins", self.service.token("STAR", "AlleBorgere"))
        copy = json.loads(self.copy.read_bytes())
        assert copy == {"tag": answer.headers["ETag"], **answer.json()}
        assert {file.name for file in self.copy.parent.glob("copy*")} == {"copy.json", "copy.json.lock"}

    def must_fail(self):
        """A run that reports an error and leaves the copy as it was; what it printed."""
        before = self.copy.read_bytes() if self.copy.exists() else None
        code, output = self.poll()
        assert (code != 0, output != "") == (True, True), (code, output)
        assert (self.copy.read_bytes() if self.copy.exists() else None) == before
        return output


def log_in(service, numbers):
    """A login of each of these companies, later than any before."""
    time.sleep(0.002)
    token = service.token("STAR", "AlleBorgere")
    for number in numbers:
        assert service.call("SetLogin", token, f"{number:08}").status == 204


def waits_for(file):
    """Whether a process waits for the lock of this file."""
    inode = os.stat(file).st_ino
    return any("->" in lock and f":{inode} " in lock for lock in Path("/proc/locks").read_text().splitlines())


@pytest.fixture(scope="module")
def register(binary, tmp_path_factory):
    """A service with some companies."""
    directory = tmp_path_factory.mktemp("service")
    service = Service(binary, directory)
    service.stop()
    rows = (f"{number:08},2025-01-01T00:00:00.000Z,2026-01-01T00:00:00.{number % 1000:03}Z\n" for number in range(COMPANIES))
    (directory / "rows.csv").write_text("cvrNummer,tidligsteLoginTidspunkt,senesteLogintidspunkt\n" + "".join(rows))
    subprocess.run([binary, "import", "--config", directory / "virksomhedslogin.toml", directory / "rows.csv"], check=True,
                   capture_output=True)
    service.start()
    yield service
    service.stop()


@pytest.fixture
def client(register, tmp_path, request):
    """The client of this name, or a broken one: (name, (text of the client, what replaces it))."""
    name, broken = request.param if isinstance(request.param, tuple) else (request.param, None)
    made = Client(register, tmp_path, name, broken)
    yield made
    made.relay.close()


def polls(client):
    """Logins between polls: known companies, new ones, none."""
    client.must_poll(200)
    client.must_poll(304)
    for numbers in [[1], [2, 50_000_000], range(100, 160), [99_999_999, 0]]:
        log_in(client.service, numbers)
        client.must_poll(226)
    client.must_poll(304)


def cut_off(client):
    """An answer that breaks off anywhere is as if it had not been asked for."""
    for changed, status in [([], 200), (range(200), 226)]:
        log_in(client.service, changed)
        # Whole once, to know how long it is.
        before = client.copy.read_bytes() if client.copy.exists() else None
        client.must_poll(status)
        client.copy.unlink() if before is None else client.copy.write_bytes(before)
        length = client.relay.answered
        # The last five bytes are the chunk that ends a chunked body: `0`, and two line ends.
        for client.relay.cut_after in [0, 10, 600, length // 2, length - 30, length - 8, length - 5]:
            client.must_fail()
        client.relay.cut_after = None
        client.must_poll(status)


def two_at_once(client):
    """The second of two runs waits for the first, and learns what came after it."""
    client.must_poll(200)
    log_in(client.service, [3])
    asked = len(client.relay.statuses)
    client.relay.passing.clear()
    first = client.start()
    client.service.wait(lambda: len(client.relay.statuses) > asked)
    second = client.start()
    client.service.wait(lambda: waits_for(f"{client.copy}.lock") or len(client.relay.statuses) > asked + 1)
    waited = len(client.relay.statuses) == asked + 1
    log_in(client.service, [4, 5])
    client.relay.passing.set()
    outputs = [run.communicate(timeout=TIMEOUT_SECONDS)[0] for run in (first, second)]
    assert (outputs, first.returncode, second.returncode) == (["", ""], 0, 0)
    assert waited and client.relay.statuses[asked:] == [226, 226]
    client.must_equal_the_list()


def restart(client):
    """A tag from before a restart is as good as any."""
    client.must_poll(200)
    log_in(client.service, [6])
    client.service.stop()
    client.must_fail()
    client.service.start()
    log_in(client.service, [7])
    client.must_poll(226)


def unknown_tag(client):
    """A copy with a tag of another register is replaced, strange companies and all."""
    row = {"cvrNummer": "88888888", "tidligsteLoginTidspunkt": "2025-01-01T00:00:00.000Z",
           "senesteLogintidspunkt": "2025-01-01T00:00:00.000Z"}
    copy = {"tag": 'W/"5-0123456789abcdef0123456789abcdef.0123456789abcdef.7"', "virksomheder": [row]}
    client.copy.write_text(json.dumps(copy, separators=(",", ":")))
    client.must_poll(200)


def error(client):
    """An error is reported with its status."""
    client.must_poll(200)
    log_in(client.service, [8])
    good = client.token.read_text()
    client.token.write_text(client.service.token("JobCenter", "AlleBorgere", exp=1_700_000_000))
    output = client.must_fail()
    assert "401" in output and "1012" in output and good[-20:] not in output
    client.token.write_text(good)
    client.must_poll(226)


@pytest.mark.parametrize("check", [polls, cut_off, two_at_once, restart, unknown_tag, error])
@pytest.mark.parametrize("client", CLIENTS, indirect=True)
def test_the_copy_equals_the_list(client, check):
    check(client)


@pytest.mark.parametrize("client, check", [
    # Keeps the changes alone.
    (("poll.sh", ("] + .virksomheder", "][:0] + .virksomheder")), polls),
    (("poll.py", ("kept + body", "[] + body")), polls),
    (("Poll.java", ("                read(kept, companies);\n", "")), polls),
    # Merges the whole list.
    (("poll.py", ("[] if status == 200 else copy", "copy")), unknown_tag),
    # Takes an answer that broke off.
    (("poll.sh", ("\"$url/v1/Logins\")", "\"$url/v1/Logins\" || true)")), cut_off),
    (("poll.py", ("body = answer.read()", "body = answer.read1()")), cut_off),
    # Does not wait for the other run.
    (("poll.sh", ("flock 9 #", "#")), two_at_once),
    (("poll.py", ("        fcntl.flock(lock, fcntl.LOCK_EX)", "        pass")), two_at_once),
    (("Poll.java", ("            lock.lock();", "")), two_at_once),
    # Hides an error.
    (("poll.sh", (">&2; exit 1", "> /dev/null; exit 0")), error),
], indirect=["client"])
def test_it_sees_a_client_that_is_broken(client, check):
    with pytest.raises(AssertionError):
        check(client)
