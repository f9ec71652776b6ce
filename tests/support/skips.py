"""A plugin of pytest: with `--skips-allowed FILE`, a test that is skipped for a reason that FILE does not list fails
the run. FILE is TOML: the beginning of a reason, and why it is accepted.
"""

import tomllib
from pathlib import Path

import pytest

_left_out = pytest.StashKey[dict[str, list[str]]]()


def pytest_addoption(parser):
    parser.addoption("--skips-allowed", metavar="FILE", help="fail where a test is skipped for a reason not in FILE")


def pytest_configure(config):
    config.stash[_left_out] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        item.config.stash[_left_out].setdefault(reason, []).append(item.nodeid)
    return report


def unlisted(config):
    """Return the tests that were left out for reasons which are not listed."""
    if (path := config.getoption("--skips-allowed")) is None:
        return {}
    allowed = tuple(tomllib.loads(Path(path).read_text(encoding="utf-8")))
    return {reason: tests for reason, tests in config.stash[_left_out].items() if not reason.startswith(allowed)}


def pytest_sessionfinish(session, exitstatus):
    if exitstatus == pytest.ExitCode.OK and unlisted(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    for reason, tests in unlisted(config).items():
        path = config.getoption("--skips-allowed")
        terminalreporter.write_line(f"SKIPPED, AND NOT IN {path}: {reason} ({len(tests)}: {tests[0]})", red=True)
