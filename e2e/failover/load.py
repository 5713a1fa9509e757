"""Callers that never rest, and what must hold of every answer that they get.

A login is stamped between the beginning and the end of its call. So from the end of a call that was answered 204, and of a read,
every later answer has that first login or an earlier one, and that last login or a later one, whichever instance gives it.
"""

import functools
import http.client
import itertools
import json
import threading
import time
from collections import Counter
from datetime import datetime
from typing import NamedTuple

WRITERS, READERS = 64, 16
# Some 300 calls a second, and 200 while all fail: callers, databases and tools share two cores.
WRITER_PAUSE, READER_PAUSE, ERROR_PAUSE = 0.25, 0.15, 0.4
# Recorded and read by all; every other login is of a company of its own.
SHARED = WRITERS // 2
OWN = 10_000_000
# store.deadline_seconds, and when a call counts as lost. The callers share two cores with all else: on a busy machine a caller
# has waited 10 s for an answer that HAProxy and the service had made within 5 s. `PROMISED` is strict where it can be.
DEADLINE, LIMIT = 5, 20
# Where a call begins: many addresses, for the proxies limit each of them.
ADDRESS = "127.1.0.{}"


class Call(NamedTuple):
    """A call and its answer, with the times between which it was made."""

    caller: int
    writes: bool
    began: float
    ended: float
    status: int | str
    good: bool


def millis(text):
    """The milliseconds of a timestamp of the service."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def late(body):
    """A body that comes after its head: a proxy must be able to repeat that call too."""
    time.sleep(0.01)
    yield body


class History:
    """What every later answer must hold of each company: a first login not after, a last login not before."""

    def __init__(self):
        self.known, self.lock, self.wrong, self.acknowledged = {}, threading.Lock(), [], 0

    def add(self, company, first, last):
        """This was answered, or what was acknowledged then implies it."""
        with self.lock:
            known_first, known_last = self.known.get(company, (first, last))
            self.known[company] = min(known_first, first), max(known_last, last)

    def check(self, company, floor, found, where):
        """Whether an answer holds what was known when it was asked for."""
        if floor and not (found and found[0] <= floor[0] and found[1] >= floor[1]):
            self.wrong.append(f"{where}: {company:08} was {floor}, and is {found}")

    def check_list(self, instance, token, where):
        """Everything that was ever answered is in the list of this instance."""
        with self.lock:
            known = dict(self.known)
        answer = instance.ask("GET", "/v1/Logins", token)
        assert answer.status == 200, f"{where}: {answer.status}"
        found = {int(row["cvrNummer"]): (millis(row["tidligsteLoginTidspunkt"]), millis(row["senesteLogintidspunkt"]))
                 for row in answer.json()["virksomheder"]}
        for company, floor in known.items():
            self.check(company, floor, found.get(company), where)


class Load:
    """Writers and readers, each on a connection of its own: one that it keeps, or a new one for each call."""

    def __init__(self, port, context, token, keep=True):
        self.port, self.context, self.token, self.keep = port, context, token, keep
        self.history = History()
        self.calls, self.wrong, self.stopped = [], [], threading.Event()
        self.numbers = itertools.count(OWN)
        self.threads = [threading.Thread(target=self.work, args=[number, number < WRITERS], daemon=True)
                        for number in range(WRITERS + READERS)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        for thread in self.threads:
            thread.join()

    def connection(self, number):
        """A connection from an address of its own."""
        kind = functools.partial(http.client.HTTPSConnection, context=self.context) if self.context else http.client.HTTPConnection
        return kind("127.0.0.1", self.port, timeout=30, source_address=(ADDRESS.format(number + 1), 0))

    def call(self, connection, company, writes):
        """One call: status, `Retry-After`, body."""
        headers = {"Authorization": f"Bearer {self.token}"}
        if writes:
            body = json.dumps({"VirksomhedsLoginDto": {"cvrNummer": f"{company:08}"}}).encode()
            headers |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
            connection.request("PUT", f"/v1/Login/{company:08}", late(body), headers)
        else:
            connection.request("GET", f"/v1/Login?cvrNummer={company:08}", headers=headers)
        answer = connection.getresponse()
        answered = answer.status, answer.headers["Retry-After"], answer.read()
        if not self.keep:
            connection.close()
        return answered

    def work(self, number, writes):
        """What one caller does: one call after the other, none of them repeated."""
        connection = self.connection(number)
        for turn in itertools.count(number):
            if self.stopped.is_set():
                return connection.close()
            company = next(self.numbers) if writes and turn % 2 else turn // 2 % SHARED
            floor, retry_after, began = self.history.known.get(company), None, time.time()
            if not writes and not floor:
                time.sleep(READER_PAUSE)
                continue
            try:
                status, retry_after, body = self.call(connection, company, writes)
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                status = repr(error)
            ended = time.time()
            good = status == (204 if writes else 200)
            self.calls.append(Call(number, writes, began, ended, status, good))
            if good and writes:
                self.history.acknowledged += 1
                self.history.add(company, int(ended * 1000), int(began * 1000))
            elif good:
                found = json.loads(body)["VirksomhedsLoginDto"]
                found = millis(found["tidligsteLoginTidspunkt"]), millis(found["senesteLogintidspunkt"])
                self.history.check(company, floor, found, f"read by caller {number}")
                self.history.add(company, *found)
            elif status != 503 or not retry_after:
                self.wrong.append(f"answered {status}, Retry-After {retry_after}")
            if ended - began > LIMIT:
                self.wrong.append(f"{status} after {ended - began:.1f} s")
            time.sleep((WRITER_PAUSE if writes else READER_PAUSE) if good else ERROR_PAUSE)

    def all_since(self, since):
        """Whether every caller has had a good answer since then."""
        return len({call.caller for call in reversed(self.calls) if call.ended > since and call.good}) == len(self.threads)

    def seen(self, since, until):
        """What the callers saw in between: seconds without writes and reads, the slowest answer, how many of each status."""
        calls = [call for call in list(self.calls) if since <= call.ended <= until]
        return {"without writes": self.pause(True, since, until), "without reads": self.pause(False, since, until),
                "slowest answer": max(call.ended - call.began for call in calls), "answers": Counter(call.status for call in calls)}

    def pause(self, writes, since, until):
        """The longest time in between in which no caller had a good answer."""
        times = sorted(call.ended for call in list(self.calls) if call.good and call.writes == writes and call.ended <= until)
        times = [time for time in times if time <= since][-1:] + [time for time in times if time > since] + [until]
        return max(later - earlier for earlier, later in itertools.pairwise(times))

    def back(self, writes, since):
        """The time until the first good answer after this."""
        return min(call.ended for call in list(self.calls) if call.good and call.writes == writes and call.ended > since) - since

    def assert_right(self, when):
        """Nothing was lost, nothing went back, no error was another one than promised."""
        wrong = self.history.wrong + self.wrong
        assert not wrong, f"{when}: {len(wrong)} faults: {wrong[:10]}"
