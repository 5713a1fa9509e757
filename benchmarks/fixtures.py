"""What is measured with: a signing key, tokens, lists of companies, stores, what the peers are filled with.

Everything is made again in the run's directory, from fixed seeds, so that two runs measure the same data.
"""

import json
import random
import shutil
import time
from pathlib import Path

from processes import Failed, run

ISSUER = "https://sts.bench.invalid"
AUDIENCE = "virksomhedslogin-bench"
KEY_NAME = "bench"
# Companies are spread evenly over the eight digits, as the real ones are.
FIRST_COMPANY, LAST_NUMBER = 10000007, 99_999_999
WIDEST_STEP = 89
SCOPES = "virksomhedsinstats.login.read virksomhedsinstats.login.write"
SEED = 20261123
HEADER = "cvrNummer,tidligsteLoginTidspunkt,senesteLogintidspunkt\n"
DAY_MILLIS = 86_400_000
# 2016-01-01 to 2025-12-31: "over years", and all in the past.
FIRST_DAY, DAYS = 16801, 3653


def step(records):
    """How far apart the CVR numbers of so many companies are: 89 up to a million, less where they would not fit."""
    return min(WIDEST_STEP, (LAST_NUMBER - FIRST_COMPANY) // records)


def company(number, records):
    """The CVR number of the company with this number, among so many."""
    return f"{FIRST_COMPANY + step(records) * number:08d}"


class Fixtures:
    """Makes and keeps what a run measures with."""

    def __init__(self, directory, binary, signer):
        self.directory = directory
        self.binary = binary
        self.signer = signer
        self.stores = {}
        self.key = directory / "key.der"
        self.claims = directory / "claims.json"
        self.jwks = directory / "jwks.json"
        self.make_key()
        self.token = self.tokens(1)[0]

    def make_key(self):
        """An RSA key of 2048 bits, and the claims that every token carries."""
        pem = self.directory / "key.pem"
        run(["openssl", "genrsa", "-out", pem, "2048"])
        run(["openssl", "pkcs8", "-topk8", "-nocrypt", "-in", pem, "-outform", "DER", "-out", self.key])
        now = int(time.time())
        # STAR may call all three methods under the shipped table.
        self.claims.write_text(json.dumps({
            "iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 4 * 3600, "sub": "bench",
            "client_id": "bench", "scope": SCOPES, "organisationType": "STAR",
            "organisationCode": "STAR", "adgang": "AlleBorgere"}))

    def tokens(self, count):
        """So many tokens, no two alike; the key set is written beside them."""
        lines = run([self.signer, self.key, KEY_NAME, self.claims, count]).splitlines()
        self.jwks.write_text(lines[0])
        return lines[1:]

    def configuration(self, name, store, listen, management, workers, access):
        """A configuration with audit to a file, as in production; its path.

        `store` is the directory of an embedded store, or all that stands under `[store]`; `listen` as the setting.
        """
        path = self.directory / f"{name}.toml"
        if isinstance(store, Path):
            store = f'path = "{store}"'
        path.write_text(f"""[server]
listen = "{listen}"
management = "127.0.0.1:{management}"
workers = {workers}

[store]
{store}

[token]
issuer = "{ISSUER}"
audience = "{AUDIENCE}"
jwks = "file:{self.jwks}"

[access]
file = "{access}"

[audit]
file = "{self.directory / name}.audit"
""")
        return path

    def store(self, records, access):
        """A closed store of so many companies, made by the service's own `import`, once a run."""
        if records not in self.stores:
            path = self.directory / f"store-{records}"
            self.fill(f"import-{records}", path, records, access)
            self.stores[records] = path
        return self.stores[records]

    def fill(self, name, store, records, access):
        """Puts so many companies into a store with the service's own `import`."""
        list_file = self.directory / f"companies-{records}.csv"
        write_companies(list_file, records)
        config = self.configuration(name, store, "127.0.0.1:0", 0, 1, access)
        output = run([self.binary, "import", "--config", config, list_file], timeout=900 + records // 5_000)
        if f"read: {records}\n" not in output:
            raise Failed(f"import of {records} companies said: {output}")
        list_file.unlink()

    def copy_of_store(self, records, access, name):
        """A copy that may be written to; the original stays as imported."""
        path = self.directory / f"store-{name}"
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(self.store(records, access), path)
        return path

    def numbers(self, records):
        """The same companies as the peers take them."""
        path = self.directory / f"companies-{records}.numbers"
        if not path.exists():
            write_numbers(path, records)
        return path


def moments(records):
    """First and latest login of each company, in milliseconds, the latest at least a day later."""
    draw = random.Random(SEED).random
    for _ in range(records):
        first = int(draw() * (DAYS - 1))
        last = first + 1 + int(draw() * (DAYS - 1 - first))
        yield ((FIRST_DAY + first) * DAY_MILLIS + int(draw() * DAY_MILLIS),
               (FIRST_DAY + last) * DAY_MILLIS + int(draw() * DAY_MILLIS))


def write_companies(path, records):
    """The companies as the CSV that `import` takes."""
    days = [time.strftime("%Y-%m-%dT", time.gmtime((FIRST_DAY + day) * 86_400)) for day in range(DAYS + 1)]

    def text(millis):
        day, rest = divmod(millis, DAY_MILLIS)
        seconds, thousandths = divmod(rest, 1000)
        minutes, second = divmod(seconds, 60)
        hour, minute = divmod(minutes, 60)
        return f"{days[day - FIRST_DAY]}{hour:02d}:{minute:02d}:{second:02d}.{thousandths:03d}Z"

    with open(path, "w", encoding="ascii") as file:
        file.write(HEADER)
        for number, (first, last) in enumerate(moments(records)):
            file.write(f"{company(number, records)},{text(first)},{text(last)}\n")


def write_numbers(path, records):
    """The companies as lines of CVR number, first and latest login, in milliseconds since 1970."""
    with open(path, "w", encoding="ascii") as file:
        for number, (first, last) in enumerate(moments(records)):
            file.write(f"{company(number, records)},{first},{last}\n")
