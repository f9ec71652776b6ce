"""A plugin of pytest: with `--skips-allowed FILE`, a test that is skipped for a reason that FILE does not list fails
the run. FILE is TOML: the beginning of a reason, and why it is accepted.
"""

import tomllib
from pathlib import Path

import pytest

_plugin = pytest.StashKey["Skips"]()


def pytest_addoption(parser):
    parser.addoption("--skips-allowed", metavar="FILE", help="fail where a test is skipped for a reason not in FILE")


def pytest_configure(config):
    config.stash[_plugin] = Skips()
    config.pluginmanager.register(config.stash[_plugin])


class Skips:
    """Collects why tests were skipped, in the process that receives the results of all others."""

    def __init__(self):
        self.by_reason: dict[str, list[str]] = {}

    def pytest_runtest_logreport(self, report):
        if report.skipped and not hasattr(report, "wasxfail"):
            reason = report.longrepr[2].removeprefix("Skipped: ")
            self.by_reason.setdefault(reason, []).append(report.nodeid)


def unlisted(config):
    """Return the tests that were skipped for reasons which are not listed."""
    if (path := config.getoption("--skips-allowed")) is None:
        return {}
    allowed = tuple(tomllib.loads(Path(path).read_text(encoding="utf-8")))
    return {
        reason: tests for reason, tests in config.stash[_plugin].by_reason.items() if not reason.startswith(allowed)
    }


def pytest_sessionfinish(session, exitstatus):
    if exitstatus == pytest.ExitCode.OK and unlisted(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    for reason, tests in unlisted(config).items():
        path = config.getoption("--skips-allowed")
        terminalreporter.write_line(f"SKIPPED, AND NOT IN {path}: {reason} ({len(tests)}: {tests[0]})", red=True)
