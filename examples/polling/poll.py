#!/usr/bin/env python3
"""Keeps a copy of the list of companies up to date, and fetches only what changed since the last run.

    poll.py URL TOKEN_FILE COPY

URL is the service (https://…), TOKEN_FILE holds the bearer token alone, COPY is the file that is kept: one JSON object
with the list's entity tag and its companies. The file is replaced as a whole once an answer has arrived to its end, so
tag and companies never contradict each other; a second run at the same time waits for the first. Prints errors only.
Needs Python 3.9 and nothing else.
"""

import fcntl
import gzip
import http.client
import json
import os
import sys
import urllib.error
import urllib.request

TIMEOUT_SECONDS = 60


def fetch(url, token, tag):
    """Status, entity tag and body of GetLogins; None and None when nothing changed."""
    request = urllib.request.Request(f"{url}/v1/Logins", headers={
        "Authorization": f"Bearer {token}",
        "A-IM": "feed",
        "If-None-Match": tag,
        "Accept-Encoding": "gzip",
    })
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            body = answer.read()  # IncompleteRead when the answer breaks off
            if answer.headers["Content-Encoding"] == "gzip":
                body = gzip.decompress(body)
            return answer.status, answer.headers["ETag"], json.loads(body)
    except urllib.error.HTTPError as error:
        if error.code == 304:
            return 304, None, None
        raise SystemExit(f"{error.code}: {error.read().decode(errors='replace')}") from None
    except (OSError, EOFError, ValueError, http.client.HTTPException) as error:
        raise SystemExit(f"no whole answer: {error!r}") from None


def poll(url, token, path):
    """Brings the copy up to date."""
    copy = {"tag": '""', "virksomheder": []}  # a tag that matches nothing
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            copy = json.load(file)
    status, tag, body = fetch(url, token, copy["tag"])
    if status == 304:
        return
    # 200 is everything and replaces the copy; 226 replaces the companies that it names.
    kept = [] if status == 200 else copy["virksomheder"]
    companies = {company["cvrNummer"]: company for company in kept + body["virksomheder"]}
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        json.dump({"tag": tag, "virksomheder": [companies[number] for number in sorted(companies)]}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.new", path)


def main():
    url, token_file, path = sys.argv[1:]
    with open(token_file, encoding="ascii") as file:
        token = file.read().strip()
    with open(f"{path}.lock", "a", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until the file is closed
        poll(url, token, path)


if __name__ == "__main__":
    main()
