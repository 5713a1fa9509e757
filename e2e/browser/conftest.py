"""What the browser tests share: browsers, the directory of the pictures, axe-core."""

import pytest

import chromium
from service import ROOT

PICTURES = ROOT / ".ci" / "out" / "browser"
AXE = ROOT / "target" / "e2e" / "axe" / "node_modules" / "axe-core" / "axe.min.js"


def pytest_addoption(parser):
    """The option of the pictures that README.md shows."""
    parser.addoption("--write-docs", action="store_true", help="renew docs/screenshot-*.png")


@pytest.fixture(scope="session")
def browser():
    """The browser of a Danish reader."""
    opened = chromium.start("da")
    yield opened
    opened.quit()


@pytest.fixture(scope="session")
def axe():
    """The source of axe-core."""
    return AXE.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def star(service):
    """A token that may do everything, and the company that it has recorded a login of."""
    token = service.token("STAR", "AlleBorgere")
    assert service.call("SetLogin", token).status == 204
    return token
