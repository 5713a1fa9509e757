"""schemathesis holds the running service to its document, as callers of each kind; and it sees a document that lies."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from service import METHODS, MODES, ORGANISATIONS, READ, SHIPPED, WRITE, access_table

TABLE = access_table(SHIPPED)
# Always the same requests; as many a method as keep the whole of it within two minutes.
SEED, ALLOWED_EXAMPLES, REFUSED_EXAMPLES, TIMEOUT_SECONDS = 20261124, 60, 12, 120
# What a right request may be answered with: nothing else than success, for a company that never logged in 404, and 412 for
# a precondition that does not hold, as most that are made up do not.
RIGHT = {"GetLogin": ["200", "304", "404", "412"], "SetLogin": ["204", "412"], "GetLogins": ["200", "226", "304", "412"]}


def allowed(organisation, *modes):
    """The methods that such a caller may call."""
    return [method for method in METHODS if TABLE[method][organisation] & set(modes)]


def callers():
    """Whoever may call a method, and of each organisation one who may not: the tests of the API know all callers."""
    for organisation in ORGANISATIONS:
        yield from ((organisation, mode) for mode in MODES if allowed(organisation, mode))
        yield organisation, next(mode for mode in MODES if not allowed(organisation, mode))


class Run:
    """One run of schemathesis: how it ended, what it said, which answers it got."""

    def __init__(self, service, directory, token, may_call, examples, document=None):
        location = service.base + "/openapi.json"
        if document is not None:
            location = directory / "openapi.json"
            location.write_text(json.dumps(document), encoding="utf-8")
        statuses = {method: RIGHT[method] if method in may_call else ["403"] for method in METHODS}
        config = directory / "schemathesis.toml"
        config.write_text(f"""color = false
base-url = "{service.base}"
seed = {SEED}
continue-on-failure = true
request-timeout = 20
[generation]
max-examples = {examples}
database = "none"
[checks]
enabled = true
[auth.openapi.adgangstoken]
bearer = "{token}"
""" + "".join(f"""[[operations]]
include-operation-id = "{method}"
checks.positive_data_acceptance.expected-statuses = {json.dumps(accepted)}
""" for method, accepted in statuses.items()), encoding="utf-8")
        # A list, and a login after it.
        star = service.token("STAR", "AlleBorgere")
        tag = service.ask("HEAD", "/v1/Logins", star).headers["ETag"]
        time.sleep(0.002)
        assert service.call("SetLogin", star).status == 204
        counts = directory / "counts.json"
        environment = {**os.environ, "TOKEN": token, "METHODS_ALLOWED": " ".join(may_call), "COUNTS": str(counts), "LIST_TAG": tag,
                       "SCHEMATHESIS_HOOKS": "rules", "PYTHONPATH": str(Path(__file__).parent)}
        command = [Path(sys.executable).with_name("st"), "--config-file", config, "run", location]
        done = subprocess.run(command, cwd=directory, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=TIMEOUT_SECONDS, check=False)
        self.code, self.text = done.returncode, done.stdout + done.stderr
        self.counts = json.loads(counts.read_text(encoding="utf-8")) if counts.is_file() else {}

    def must_hold(self, may_call):
        """No failure, every method really asked, each with the answer that the caller is due."""
        assert self.code == 0, self.text
        assert "3 selected / 3 total" in self.text and "Tested: 3" in self.text, self.text
        success = {"GetLogin": "200", "SetLogin": "204", "GetLogins": "200"}
        for method in METHODS:
            due = success[method] if method in may_call else "403"
            assert self.counts.get(f"{method} {due}", 0) > 0, self.counts
        assert ("GetLogins" in may_call) == (self.counts.get("GetLogins 226", 0) > 0), self.counts


@pytest.fixture(autouse=True, scope="module")
def companies(service):
    """Some companies, of which a run changes less than half: beyond that the whole list is the answer."""
    token = service.token("STAR", "AlleBorgere")
    for number in range(300):
        assert service.call("SetLogin", token, f"{number:08}").status == 204


@pytest.mark.parametrize("organisation, mode", callers())
def test_the_service_does_what_the_document_says(service, tmp_path, organisation, mode):
    may_call = allowed(organisation, mode)
    examples = ALLOWED_EXAMPLES if may_call else REFUSED_EXAMPLES
    Run(service, tmp_path, service.token(organisation, mode), may_call, examples).must_hold(may_call)


@pytest.mark.parametrize("token, may_call", [
    (lambda service: service.token("STAR", "AlleBorgere", scope=READ), ["GetLogin", "GetLogins"]),
    (lambda service: service.token("STAR", "AlleBorgere", scope=WRITE), ["SetLogin"]),
    (lambda service: service.token("JobCenter", "Gaesteadgang", "TidligereEgneBorgere"), ["GetLogin"]),
    (lambda service: service.token("Kommune", "AlleBorgere"), []),
    (lambda service: service.token("STAR", "AlleBorgere", organisationCode=None), []),
], ids=["read scope only", "write scope only", "several access modes", "unknown organisation", "no organisation code"])
def test_it_does_so_for_other_tokens(service, tmp_path, token, may_call):
    Run(service, tmp_path, token(service), may_call, REFUSED_EXAMPLES).must_hold(may_call)


def operation(document, path, verb):
    """An operation of the document."""
    return document["paths"][path][verb]


def nine_digits(document):
    """A CVR number has nine digits."""
    document["components"]["schemas"]["CvrNummer"]["pattern"] = "^[0-9]{9}$"


def undeclare_404(document):
    """GetLogin never says that a company is unknown."""
    del operation(document, "/v1/Login", "get")["responses"]["404"]


def undeclare_226(document):
    """GetLogins always sends everything."""
    del operation(document, "/v1/Logins", "get")["responses"]["226"]


def shorter_ids(document):
    """A call's id has at most ten characters."""
    for parameter in operation(document, "/v1/Logins", "get")["parameters"]:
        if parameter["name"] == "x-requestId":
            parameter["schema"] = {"type": "string", "minLength": 1, "maxLength": 10}


def another_type(document):
    """GetLogins is plain text."""
    content = operation(document, "/v1/Logins", "get")["responses"]["200"]["content"]
    content["text/plain"] = content.pop("application/json")


def another_member(document):
    """A login has a member that it has not."""
    document["components"]["schemas"]["VirksomhedsLoginDto"]["required"].append("antal")


def another_header(document):
    """An answer has a header that it has not."""
    answer = operation(document, "/v1/Logins", "get")["responses"]["200"]
    answer["headers"]["X-Antal"] = {"required": True, "schema": {"type": "string"}}


def guard_what_is_open(document):
    """The document itself is said to need a token."""
    document["paths"]["/openapi.json"] = {"get": {
        "operationId": "OpenApi", "security": [{"adgangstoken": []}],
        "responses": {status: {"description": status} for status in ("200", "304", "401", "403")}}}


@pytest.mark.parametrize("lie, seen", [
    (undeclare_404, "Undocumented status code"),
    (undeclare_226, "Undocumented status code"),
    (nine_digits, "Schema-valid request rejected"),
    (shorter_ids, "Schema-violating request accepted"),
    (another_type, "Undocumented Content-Type"),
    (another_member, "Response violates schema"),
    (another_header, "Missing required response headers"),
    (guard_what_is_open, "API accepts"),
], ids=["a status", "a success", "numbers of nine digits", "shorter ids", "a media type", "a member", "a header",
        "an open path said to be guarded"])
def test_it_sees_a_document_that_lies(service, tmp_path, lie, seen):
    document = service.ask("GET", "/openapi.json").json()
    lie(document)
    run = Run(service, tmp_path, service.token("STAR", "AlleBorgere"), METHODS, ALLOWED_EXAMPLES, document)
    assert run.code == 1 and seen in run.text, run.text


def test_it_sees_a_caller_who_gets_in_without_a_mark(service, tmp_path):
    run = Run(service, tmp_path, service.token("STAR", "AlleBorgere"), ["GetLogin"], REFUSED_EXAMPLES)
    assert run.code == 1 and "SetLogin is not allowed, yet 204" in run.text, run.text


def test_it_sees_a_caller_who_is_kept_out_in_spite_of_one(service, tmp_path):
    run = Run(service, tmp_path, service.token("A-kasse", "AlleBorgere"), METHODS, REFUSED_EXAMPLES)
    assert run.code == 1 and "SetLogin is allowed, yet 403" in run.text, run.text
