"""A plugin of pytest: which tests go to which of several processes, and in what order. Starts nothing.

A unit goes to one process as a whole: the tests of a file, since they share its servers, or all tests in containers,
since a second stack beside the first takes longer than after it. What takes long is handed out first, so that no
process works alone in the end; the rest in the order of collection.
"""

import pytest
from xdist.scheduler.loadscope import LoadScopeScheduling

CONTAINERS = "docker"

LONGEST_FIRST = (
    CONTAINERS,
    "tests/bench/test_bench.py",
    "deploy/embedded/tests/test_stack.py",
    "services/ingest/tests/test_faults.py",
    "deploy/embedded/tests/test_backup.py",
    "deploy/embedded/tests/test_running_stack.py",
    "deploy/embedded/tests/test_recovery.py",
    "tests/integration/test_restarts.py",
    "services/writer/tests/test_audit.py",
    "deploy/embedded/tests/test_tls.py",
    "tests/browser/test_access.py",
    "tests/faults/test_crash_matrix.py",
    "deploy/embedded/tests/test_mqtt_queue.py",
    "tests/hostile/test_identities.py",
    "tests/hostile/test_local_user.py",
    "services/writer/tests/test_clock.py",
    "services/broadcaster/tests/test_unread.py",
    "tests/integration/test_simulate.py",
    "tests/browser/test_page.py",
    "tests/observability/test_observability.py",
    "tests/hostile/test_websocket_clients.py",
    "tests/faults/test_splice_under_kills.py",
    "tests/simulation/test_simulation.py",
    "tests/faults/test_random_kills.py",
)
"""Units above 40 s of a run in which four processes shared two cores, by their sums of durations."""


def unit(nodeid):
    """The unit that a test belongs to."""
    return CONTAINERS if CONTAINERS in nodeid else nodeid.partition("::")[0]


def place(nodeid):
    """Where a test's unit stands among those that take long; all others behind."""
    name = unit(nodeid)
    return LONGEST_FIRST.index(name) if name in LONGEST_FIRST else len(LONGEST_FIRST)


@pytest.hookimpl(trylast=True)  # after pytest has put together what shares a fixture
def pytest_collection_modifyitems(config, items):
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: place(item.nodeid))


class Units(LoadScopeScheduling):
    """Hands out units in the order in which they were collected."""

    def _split_scope(self, nodeid):
        return unit(nodeid)


def pytest_xdist_make_scheduler(config, log):
    config.option.loadscopereorder = False  # by the number of tests, which says little about their time
    return Units(config, log)
