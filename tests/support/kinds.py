"""The kinds of pipeline that stories run over: `@pytest.fixture(params=KINDS)` and `running(request.param, folder)`."""

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
    """A pipeline of that kind, stopped in the end; skips the test, saying why, where this machine cannot run it."""
    if kind is ContainerStack and (reason := impossible()):
        pytest.skip(reason)
    stack = kind(folder / "parts", **options)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
