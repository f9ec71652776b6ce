"""A screen of the pipeline under test, and its logs where a story failed."""

import pytest
from support import clients
from support.stack import Stack


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A story that failed shows what the services of its pipelines said last."""
    report = yield
    if report.failed:
        for stack in (value for value in item.funcargs.values() if isinstance(value, Stack)):
            report.sections += [(f"log of {part}", stack.tail(part)) for part in stack.services]
    return report


@pytest.fixture
def watched(stack, module):
    """What a screen that subscribed to the test's module is sent."""
    with clients.screen(stack.ws_url, module) as watched:
        yield watched
