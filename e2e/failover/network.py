"""Machines of the test's own: a network namespace each, on one bridge, whose processes are those of an ordinary user.

Runs in namespaces of its own (`run` makes them), so that no port and no process of this machine is met, and whatever is left
ends with the test. The services and their callers are on the other side of the bridge.
"""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

USER = "postgres"
GATEWAY = "10.77.0.254"
MACHINES = []
LOGS = Path(__file__).resolve().parents[2] / ".ci" / "out" / "failover"


def command(*words, **options):
    """Runs a command; what it printed, or an error with what it said."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{' '.join(map(str, words))}: {done.stdout}{done.stderr}"
    return done.stdout


def make_bridge():
    """The network; an error that says what is missing where this machine does not allow one."""
    LOGS.mkdir(parents=True, exist_ok=True)
    try:
        command("ip", "link", "set", "lo", "up")
        # With an address of its own: otherwise it has the lowest of its ports', and another one when that port is cut off.
        command("ip", "link", "add", "bridge", "address", "02:00:00:00:00:01", "type", "bridge")
        command("ip", "addr", "add", f"{GATEWAY}/24", "dev", "bridge")
        command("ip", "link", "set", "bridge", "up")
    except AssertionError as error:
        raise AssertionError(f"network namespaces, veth and bridge are needed, and the right to make them: {error}") from error


def wait_for(what, ready, seconds=60):
    """Waits until `ready()` holds, and returns what it returned."""
    deadline = time.monotonic() + seconds
    while not (value := ready()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(0.05)
    return value


class Machine:
    """One machine with an address and a directory of its own."""

    def __init__(self, name, number, directory):
        self.name, self.address = name, f"10.77.0.{number}"
        self.home = Path(directory) / name
        (self.home / "run" / "postgresql").mkdir(parents=True)
        command("chown", "-R", USER, self.home)
        command("ip", "netns", "add", name)
        command("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
        self.join()
        command("ip", "link", "set", name, "up")
        for words in (["addr", "add", f"{self.address}/24", "dev", "eth0"], ["link", "set", "eth0", "up"], ["link", "set", "lo", "up"]):
            command("ip", "-n", name, *words)
        programs = ":".join(map(str, Path("/usr/lib/postgresql").glob("*/bin")))
        self.environment = {"PATH": f"{programs}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.home), "LC_ALL": "C.UTF-8",
                            "XDG_RUNTIME_DIR": str(self.home), "PGCONNECT_TIMEOUT": "2"}
        self.started = []
        MACHINES.append(self)

    def inside(self, *words):
        """The words of a command that runs on this machine, with a /run of its own, as the ordinary user."""
        become = f'mount --bind run /run && exec setpriv --reuid {USER} --regid {USER} --init-groups "$@"'
        return ["ip", "netns", "exec", self.name, "sh", "-c", become, "sh", *map(str, words)]

    def start(self, *words, **environment):
        """Starts a program that goes on running; its log is NAME.log in the directory."""
        with open(self.home / "log", "ab") as log:
            process = subprocess.Popen(self.inside(*words), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.home,
                                       env={**self.environment, **environment}, start_new_session=True)
        self.started.append(process)
        return process

    def run(self, *words, **environment):
        """Runs a program to its end; what it printed."""
        return command(*self.inside(*words), cwd=self.home, env={**self.environment, **environment})

    def processes(self):
        """The processes of this machine, and no other's."""
        return [int(pid) for pid in command("ip", "netns", "pids", self.name).split()]

    def signal(self, number):
        """Sends a signal to each of them: no process of it acts in between."""
        for pid in self.processes():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def kill(self):
        """As when the power is gone, and with it what is in /run."""
        while self.processes():
            self.signal(signal.SIGKILL)
            for process in self.started:
                process.wait(20)
        self.started.clear()
        for socket in (self.home / "run" / "postgresql").iterdir():
            socket.unlink()

    def freeze(self):
        """Everything stands still; the kernel keeps the connections."""
        self.signal(signal.SIGSTOP)

    def thaw(self):
        """Ends what `freeze` began."""
        self.signal(signal.SIGCONT)

    def cut(self):
        """Takes the cable out."""
        command("ip", "link", "set", self.name, "nomaster")

    def join(self):
        """Puts the cable in."""
        command("ip", "link", "set", self.name, "master", "bridge")

    def remove(self):
        """Ends it, with its network; its log stays."""
        self.kill()
        shutil.copy(self.home / "log", LOGS / f"{self.name}.log")
        command("ip", "link", "del", self.name)
        command("ip", "netns", "del", self.name)


def remove_machines():
    """Ends every machine."""
    while MACHINES:
        MACHINES.pop().remove()
