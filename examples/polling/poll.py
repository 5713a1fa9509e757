#!/usr/bin/env python3
"""Keeps a copy of the list of companies up to date, and fetches only what changed since the last run.

    poll.py URL TOKEN_FILE COPY

URL is the service (https://…), TOKEN_FILE holds the bearer token alone, COPY is the file that is kept: one JSON object
with the list's entity tag and its companies. The file is replaced as a whole once an answer has arrived to its end; a
second run at the same time waits for the first. Needs Python 3.9 and nothing else.
"""

import fcntl
import gzip
import json
import os
import sys
import urllib.error
import urllib.request

TIMEOUT_SECONDS = 60


def fetch(url, token, tag):
    """Status, entity tag and body of GetLogins; the body is None when nothing changed."""
    request = urllib.request.Request(f"{url}/v1/Logins", headers={
        "Authorization": f"Bearer {token}",
        "A-IM": "feed",
        "If-None-Match": tag or '""',
        "Accept-Encoding": "gzip",
    })
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            body = answer.read()  # raises IncompleteRead when a length was announced and not reached
            if answer.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)  # raises EOFError when the answer broke off
            return answer.status, answer.headers["ETag"], json.loads(body)
    except urllib.error.HTTPError as error:
        if error.code == 304:
            return 304, tag, None
        raise SystemExit(f"{error.code}: {error.read().decode(errors='replace')}") from None


def merge(copy, status, tag, body):
    """The copy after this answer: 200 replaces everything, 226 the companies that it names."""
    companies = {} if status == 200 else {company["cvrNummer"]: company for company in copy["virksomheder"]}
    companies.update((company["cvrNummer"], company) for company in body["virksomheder"])
    return {"tag": tag, "virksomheder": [companies[number] for number in sorted(companies)]}


def main():
    url, token_file, path = sys.argv[1:]
    with open(token_file, encoding="ascii") as file:
        token = file.read().strip()
    with open(f"{path}.lock", "a", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        copy = {"tag": None, "virksomheder": []}
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                copy = json.load(file)
        status, tag, body = fetch(url, token, copy["tag"])
        if status != 304:
            with open(f"{path}.new", "w", encoding="utf-8") as file:
                json.dump(merge(copy, status, tag, body), file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(f"{path}.new", path)
        print(f"{status}: {0 if body is None else len(body['virksomheder'])} companies received")


if __name__ == "__main__":
    main()
