"""Stacks in containers, each a project of its own, gone when its tests are over."""

import pytest
from support.compose import Compose
from support.containers import impossible


@pytest.fixture(scope="session")
def engine():
    """Skips, with the reason, where no container can run."""
    if reason := impossible():
        pytest.skip(reason)


@pytest.fixture(scope="module")
def compose(engine, tmp_path_factory):
    """The stack of compose.yaml, not started."""
    stack = Compose(tmp_path_factory.mktemp("compose"))
    yield stack
    stack.remove()


@pytest.fixture(scope="module")
def cluster(engine, tmp_path_factory):
    """The cluster, not started."""
    stack = Compose(
        tmp_path_factory.mktemp("cluster"), COMPOSE_FILE="compose.yaml:compose.cluster.yaml", NATS_REPLICAS="3"
    )
    yield stack
    stack.remove()
