"""What schemathesis has to know beyond the document, loaded by it as its hooks.

The caller comes from the environment: TOKEN is its token, METHODS_ALLOWED names the methods that it may call, LIST_TAG is
the tag of an earlier list. The answers are counted by method and status into the file that COUNTS names.
"""

import atexit
import collections
import json
import os
from pathlib import Path

import schemathesis

BEARER = f"Bearer {os.environ['TOKEN']}"
ALLOWED = set(os.environ["METHODS_ALLOWED"].split())
COUNTS = collections.Counter()


@schemathesis.hook
def before_call(context, case, kwargs):
    """SetLogin names the company in the path and in the body, and refuses two that differ (400). OpenAPI has no words for
    "equal to", so a case that is meant to be right gets the body's number in its path. Cases that are meant to be wrong
    stay as they are. Nor can it say which tags there are: a case that asks for what changed gets one that is known."""
    if not case.meta or not case.meta.generation.mode.is_positive:
        return
    if case.operation.label.startswith("PUT "):
        case.path_parameters["CvrNummer"] = case.body["VirksomhedsLoginDto"]["cvrNummer"]
    elif "A-IM" in (case.headers or {}):
        case.headers.update({"A-IM": "feed", "If-None-Match": os.environ["LIST_TAG"]})


@schemathesis.check
def the_table_of_access_decides(context, response, case):
    """A caller without access is refused whatever it sends, and hears nothing else; one with access never is."""
    method = case.operation.definition.raw.get("operationId")
    COUNTS[f"{method} {response.status_code}"] += 1
    if response.status_code == 405 or case.method.upper() != case.operation.method.upper():
        # Another verb is no call of the method and is answered alike to every caller.
        return
    if response.status_code == 404 and response.json()["fejlkode"] == "1014":
        # Nor is an unknown path.
        return
    if response.request.headers.get("Authorization") != BEARER:
        # schemathesis leaves the token out, or spoils it, now and then.
        assert response.status_code == 401, f"without its token {method} gives {response.status_code}"
    elif method in ALLOWED:
        assert response.status_code not in (401, 403), f"{method} is allowed, yet {response.status_code}"
    else:
        assert response.status_code == 403, f"{method} is not allowed, yet {response.status_code}"
        assert response.json()["fejlkode"] in ("4575", "1013")


@atexit.register
def tell():
    """Leaves what was counted."""
    Path(os.environ["COUNTS"]).write_text(json.dumps(COUNTS), encoding="utf-8")
