"""The kinds of pipeline that stories run over: `@pytest.fixture(params=KINDS)` and `make(request.param, folder)`."""

from pathlib import Path

import pytest

from servers.containers import ContainerStack, impossible
from servers.stack import EmbeddedStack, Stack

KINDS = [
    pytest.param(EmbeddedStack, id="embedded"),
    pytest.param(ContainerStack, id="docker", marks=pytest.mark.docker),
]


def make(kind: type[Stack], folder: Path, **options) -> Stack:
    """A pipeline of that kind, not started; skips the test, with the reason, where this machine cannot run it."""
    if kind is ContainerStack and (reason := impossible()):
        pytest.skip(reason)
    return kind(folder, **options)
