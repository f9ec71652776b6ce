"""The kinds of pipeline that tests run on: `@pytest.fixture(params=KINDS)` and `running(request.param, folder)`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.containers import ContainerStack, impossible
from support.stack import EmbeddedStack, Stack

KINDS = [
    pytest.param(EmbeddedStack, id="embedded"),
    pytest.param(ContainerStack, id="docker", marks=pytest.mark.docker),
]


@contextmanager
def running(kind: type[Stack], folder: Path, **options: str) -> Iterator[Stack]:
    """Run a pipeline of that kind, and stop it at the end. If this machine cannot run it, skip the test and say why."""
    if kind is ContainerStack and (reason := impossible()):
        pytest.skip(reason)
    stack = kind(folder / "parts", **options)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
