"""GetLogins with `A-IM: feed`: what a client gets that asks for what changed, after so many logins, on both stores."""

import json
import random

from fixtures import company
from lists import PATH, record_logins
from load import Run, fetch, gunzipped
from measure import Row, Rounds
from processes import Failed, status_of
from targets import TARGETS

CHANGES = (100, 1_000, 100_000)


def changes(world, _):
    """changes: bytes, first byte and time of the changes, in a list of a million companies."""
    measured = Rounds()
    with world.service(writable=True) as service:
        return asked("changes", world, service.port, measured), measured.values


def asked(group, world, port, measured):
    """The rows of one store: of 1,000 changes, with what the others gave as a note."""
    notes, key = polls(world, port, group, measured), f"{group}-1000"
    first = [value for coding in ("plain", "gzip") for value in measured.values[f"{key}-{coding}-first"]]
    faults = measured.faults_of(*(name for name in measured.values if name.startswith(f"{group}-")))
    return [Row(TARGETS[f"{group}-part"], measured.values[f"{key}-gzip-part"], faults, "; ".join(notes)),
            Row(TARGETS[f"{group}-first-byte"], [max(first)]),
            Row(TARGETS[f"{group}-time"], measured.values[f"{key}-plain-total"])]


def polls(world, port, name, measured):
    """Asks after each number of logins, plain and compressed; what each gave, for people."""
    token, draw, notes = world.fixtures.token, random.Random(226), []
    listed = {coding: fetch(port, PATH, token, coding).bytes for coding in (None, "gzip")}
    for count in CHANGES[:2] if world.quick else CHANGES:
        # So many logins take a minute by themselves.
        for number in range(world.rounds if count < CHANGES[-1] else 1):
            tag = tag_of(port, token)
            companies = draw.sample(range(world.records), count)
            record_logins(port, token, [company(at, world.records) for at in companies])
            asked = {"A-IM": "feed", "If-None-Match": tag}
            for coding in (None, "gzip"):
                got = fetch(port, PATH, token, coding, world.directory / "changes", headers=asked)
                body = (world.directory / "changes").read_bytes()
                faults = check(got.status, gunzipped(body) if coding else body, count)
                key = f"{name}-{count}-{coding or 'plain'}"
                measured.add(f"{key}-part", Run(got.bytes / listed[coding], faults), number)
                measured.add(f"{key}-bytes", Run(got.bytes), number)
                measured.add(f"{key}-first", Run(got.first_byte * 1000), number)
                measured.add(f"{key}-total", Run(got.total * 1000), number)
        notes.append(f"{count:,}: " + ", ".join(
            f"{coding} {measured.median(f'{name}-{count}-{coding}-bytes') / 1e3:,.1f} kB in "
            f"{measured.median(f'{name}-{count}-{coding}-total'):.1f} ms" for coding in ("plain", "gzip")))
    return notes


def check(status, text, count):
    """What is wrong with the answer: every company that logged in must be in it, as JSON and in order."""
    if status != 226:
        return [f"status {status}"]
    numbers = [row["cvrNummer"] for row in json.loads(text)["virksomheder"]]
    return [] if len(numbers) >= count and numbers == sorted(numbers) else [f"{len(numbers)} of {count} companies"]


def tag_of(port, token):
    """The tag of the list as it is."""
    status, _, headers = status_of(port, PATH, {"Authorization": f"Bearer {token}"}, "HEAD")
    if status != 200:
        raise Failed(f"the list is answered {status}")
    return {name.lower(): value for name, value in headers.items()}["etag"]
