"""Free ports, and waiting for conditions with a deadline."""

import asyncio
import inspect
import random
import socket
import time
from collections.abc import Callable
from contextlib import suppress

_dice = random.SystemRandom()  # a seeded generator, as under Hypothesis, would return the same port again
_given: set[int] = set()  # a port that was returned and is not bound yet still looks free


def free_port() -> int:
    """Return a free port of 127.0.0.1, below those of outgoing connections, so that no connection takes it before the
    server does. No port is returned twice in one run.
    """
    while True:
        port = _dice.randrange(16_384, 32_768)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port


def wait_until(condition: Callable[[], object], what: str, seconds: float = 120) -> None:
    """Poll `condition` until it is true; AssertionError names `what` did not come within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)


def accepts(port: int) -> bool:
    """Return whether something accepts connections on a port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def eventually(condition: Callable[[], object], what: str, seconds: float = 120) -> None:
    """As `wait_until`, leaving the event loop free; `condition` may be a coroutine function."""
    deadline = time.monotonic() + seconds
    while not (await result if inspect.isawaitable(result := condition()) else result):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        await asyncio.sleep(0.02)
