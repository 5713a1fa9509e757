"""Starts processes and ends every one of them again.

Each runs in a session of its own, so that the workers that it forks end with it, by its own process id and
no other. Nothing here outlives `Processes.close()`, which the entry script calls however the run ends.
"""

import http.client
import os
import signal
import socket
import subprocess
import time

# How long a process may take to end after SIGTERM before it is killed.
FAREWELL_SECONDS = 45
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)


class Failed(Exception):
    """Something that the benchmark needs did not work; the text is for the person who runs it."""


def end_on_signals(seconds):
    """Has a signal, or the end of so many seconds, end the run through every `finally`; 0 takes the limit back."""
    for stop in STOPS:
        signal.signal(stop, interrupted)
    signal.alarm(seconds)


def interrupted(number, _):
    """The next signals are not heard, so that nothing is left running."""
    for stop in STOPS:
        signal.signal(stop, signal.SIG_IGN)
    raise KeyboardInterrupt(signal.Signals(number).name)


def free_port():
    """A loopback port without a listener."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Processes:
    """Everything that this run has started and not yet ended."""

    def __init__(self, logs):
        self.logs = logs
        self.running = []

    def start(self, name, command, core=None, environment=None, **options):
        """Starts a command with its output in a file; on one core only when `core` is given."""
        log_path = self.logs / f"{name}.log"
        # The service is measured with the log level that it has by itself.
        inherited = {key: value for key, value in os.environ.items() if key != "RUST_LOG"}
        with open(log_path, "ab") as log:
            started = subprocess.Popen(
                pinned(command, core), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**inherited, **(environment or {})}, start_new_session=True, **options)
        started.log_path = log_path
        self.running.append(started)
        return started

    def stop(self, process):
        """Ends a process and what it forked."""
        signal_group(process, signal.SIGTERM)
        try:
            process.wait(FAREWELL_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        # Also after it has ended by itself: a worker of it may not have.
        signal_group(process, signal.SIGKILL)
        process.wait()
        if process in self.running:
            self.running.remove(process)

    def close(self):
        """Ends everything."""
        for process in reversed(list(self.running)):
            self.stop(process)


def signal_group(process, number):
    """Signals the session that `start` made for the process."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass


def pinned(command, core):
    """The command, on this core alone when one is given."""
    command = [str(part) for part in command]
    return command if core is None else ["taskset", "-c", str(core), *command]


def run(command, core=None, timeout=600, **options):
    """Runs a command to its end; its standard output, or `Failed` with what it said."""
    command = pinned(command, core)
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout, check=False, **options)
    except subprocess.TimeoutExpired as late:
        raise Failed(f"{' '.join(command[:3])} … took longer than {timeout} s") from late
    if done.returncode != 0:
        output = (done.stderr or done.stdout).strip()[-2000:]
        raise Failed(f"{' '.join(command[:6])} … ended with {done.returncode}: {output}")
    return done.stdout


def status_of(port, path, headers=None, method="GET", body=None, timeout=30):
    """(status, body, headers) of one request to loopback."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read(), dict(answer.getheaders())
    finally:
        connection.close()


def wait_until(process, ready, seconds=60, pause=0.002):
    """Waits until `ready()` holds; the moment it did. `Failed` when the process ends or time is up."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if ready():
                return time.monotonic()
        except OSError:
            pass
        if process.poll() is not None:
            break
        time.sleep(pause)
    output = process.log_path.read_text(errors="replace")[-1500:]
    raise Failed(f"{process.args[0]} did not become ready: {output}")


def has_connections(port):
    """Whether a server on this loopback port still holds a connection (proc_net_tcp(5): ESTABLISHED, CLOSE_WAIT)."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        next(table)
        return any(local.endswith(f":{port:04X}") and state in {"01", "08"}
                   for _, local, _, state, *_ in map(str.split, table))


def resident(pid, field="VmRSS"):
    """Resident memory of a process in bytes; `VmHWM` is its peak."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    raise Failed(f"/proc/{pid}/status has no {field}")


def cpu_seconds(pid):
    """Processor time that a process has used, in user and kernel mode."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        # The name in parentheses may have spaces in it; utime and stime are the 14th and 15th field of proc(5).
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def forget_peak(pid):
    """Makes `VmHWM` start again from what is resident now (proc(5), clear_refs)."""
    with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as control:
        control.write("5")
