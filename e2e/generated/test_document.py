"""The linters spectral and redocly find nothing in the document; and they find what is wrong in a broken one."""

import json
import os
import subprocess

import pytest

from service import ROOT

PROGRAMS = ROOT / "target" / "e2e" / "generated" / "node_modules" / ".bin"
QUIET = {**os.environ, "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}


def spectral(directory):
    """spectral's findings, by its rules for OpenAPI."""
    (directory / "ruleset.json").write_text('{"extends": ["spectral:oas"]}', encoding="ascii")
    return [finding["code"] for finding in lint("spectral", "lint", "-q", "-r", "ruleset.json", "-f", "json", cwd=directory)]


def redocly(directory):
    """redocly's findings, by the rules that it recommends, the strict form."""
    found = lint("redocly", "lint", "--extends", "recommended-strict", "--format", "json", cwd=directory)
    return [finding["ruleId"] for finding in found["problems"]]


def lint(program, *arguments, cwd):
    """What a linter prints of the document."""
    done = subprocess.run([PROGRAMS / program, *arguments, "openapi.json"], cwd=cwd, env=QUIET, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("linter, breaking, rule", [
    (spectral, lambda document: document["info"].pop("contact"), "info-contact"),
    (redocly, lambda document: document["info"].pop("license"), "info-license"),
], ids=["spectral", "redocly"])
def test_linter_finds_nothing_but_what_is_broken_on_purpose(service, tmp_path, linter, breaking, rule):
    document = service.ask("GET", "/openapi.json").json()
    (tmp_path / "openapi.json").write_text(json.dumps(document), encoding="utf-8")
    assert linter(tmp_path) == []
    breaking(document)
    (tmp_path / "openapi.json").write_text(json.dumps(document), encoding="utf-8")
    assert linter(tmp_path) == [rule]
