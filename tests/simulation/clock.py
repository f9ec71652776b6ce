"""An event loop on virtual time: it never waits, and its clock jumps to whatever happens next. It opens no socket."""

import asyncio
from typing import Final

from seve_schema.times import MICROS

EPOCH: Final = 1_764_529_200 * MICROS
"""The time of day when a story begins, microseconds since 1970."""


SPINNING: Final = 20_000
"""Turns of the loop at one moment, after which it is taken to be in an endless loop."""


class StandsStillError(Exception):
    """Every task waits and no time will wake one, or they go round in circles and no time passes."""


class VirtualLoop(asyncio.BaseEventLoop):
    """asyncio's own loop, with a selector that lets time pass instead of waiting for sockets."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._selector = self
        self._turns = 0

    def time(self) -> float:
        return self._now

    def micros(self) -> int:
        """The time of day, microseconds since 1970."""
        return EPOCH + round(self._now * MICROS)

    def select(self, timeout: float | None) -> list:
        self._turns = 0 if timeout else self._turns + 1
        if timeout is None or self._turns > SPINNING:
            raise StandsStillError("spinning" if self._turns else "nothing to wait for")
        self._now += timeout
        return []

    def _process_events(self, event_list: list) -> None:
        pass

    def _write_to_self(self) -> None:
        pass
