"""The pytest plugin of the tests of the running service: the option --binary, and the service itself."""

from pathlib import Path

import pytest

from service import ROOT, Service


def pytest_addoption(parser):
    """The options that both directories of tests share."""
    parser.addoption("--binary", default=str(ROOT / "target" / "debug" / "virksomhedslogin"),
                     help="the binary under test (default: the debug build)")


@pytest.fixture(scope="session")
def binary(request):
    """The binary under test."""
    path = Path(request.config.getoption("binary")).absolute()
    assert path.is_file(), f"{path} is not there: build it, or name another with --binary"
    return path


@pytest.fixture(scope="session")
def service(binary, tmp_path_factory):
    """The service under the shipped table of access, one for the whole run."""
    running = Service(binary, tmp_path_factory.mktemp("service"))
    yield running
    running.stop()


def pytest_sessionfinish(session, exitstatus):
    """A run that collected nothing, or skipped something, has not tested what it says."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if exitstatus == 0 and reporter is not None and any(reporter.stats.get(word) for word in ("skipped", "xfailed")):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
