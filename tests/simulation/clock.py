"""An event loop on virtual time: it never waits, and its clock jumps to whatever happens next. It opens no socket,
starts no thread and hears no signal.

asyncio's own loop took a third of a story's time: it compares timers in Python, and asks a selector each turn.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from functools import partial
from heapq import heappop, heappush
from typing import Any, Final

import msgspec
from seve_schema.times import MICROS

EPOCH: Final = 1_764_529_200 * MICROS
"""The time of day when a story begins, microseconds since 1970."""

SPINNING: Final = 20_000
"""Turns of the loop at one moment, after which it is taken to be in an endless loop."""

TOGETHER: Final = 1e-9
"""Seconds within which timers are due at one moment."""


class StandsStillError(Exception):
    """Every task waits and no time will wake one, or they go round in circles and no time passes."""


class Call(msgspec.Struct, eq=False):
    """A callback that waits for its turn, and can be cancelled until then."""

    callback: Callable[..., object]
    args: tuple
    context: Context | None
    cancelled: bool = False

    def __lt__(self, other: "Call") -> bool:
        """No timer of one moment is before another."""
        return False

    def cancel(self) -> None:
        self.cancelled = True


class VirtualLoop(asyncio.AbstractEventLoop):
    """What asyncio's tasks, futures and timeouts ask of a loop, and nothing else."""

    get_debug = staticmethod(bool)
    """Return False. Each future asks, so it is no function of Python."""

    def __init__(self) -> None:
        self._now = 0.0
        self._turns = 0
        self._ready: deque[Call] = deque()
        self._timers: list[tuple[float, Call]] = []
        self._uncaught: list[BaseException] = []
        self.create_future = partial(asyncio.Future, loop=self)
        self.create_task = partial(asyncio.Task, loop=self)

    def time(self) -> float:
        return self._now

    def micros(self) -> int:
        """The time of day, microseconds since 1970."""
        return EPOCH + round(self._now * MICROS)

    def is_running(self) -> bool:
        return asyncio._get_running_loop() is self

    def is_closed(self) -> bool:
        return False

    def close(self) -> None:
        self._ready.clear()
        self._timers.clear()

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Call:
        call = Call(callback, args, context)
        self._ready.append(call)
        return call

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Call:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Call:
        call = Call(callback, args, context)
        heappush(self._timers, (when, call))
        return call

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self._uncaught.append(context.get("exception") or RuntimeError(context["message"]))

    def run_until_complete(self, future: Any) -> Any:
        """Run until it is done. Raises what a callback raises, what of a task nobody retrieved, and StandsStillError if
        it will never be done.
        """
        future = asyncio.ensure_future(future, loop=self)
        self._uncaught.clear()
        self._run_until(future.done)
        if self._uncaught:
            raise self._uncaught[0]
        return future.result()

    def run_ready(self) -> None:
        """Run until all that is left waits for a time, whatever callbacks raise."""
        while self._ready:
            with suppress(Exception):
                self._run_until(lambda: not self._ready)

    def _run_until(self, done: Callable[[], bool]) -> None:
        asyncio._set_running_loop(self)
        try:
            while not done():
                self._turn()
        finally:
            asyncio._set_running_loop(None)

    def _turn(self) -> None:
        ready, timers = self._ready, self._timers
        self._pass()
        end = self._now + TOGETHER
        while timers and timers[0][0] < end:
            ready.append(heappop(timers)[1])
        for _ in range(len(ready)):
            call = ready.popleft()
            if call.cancelled:
                continue
            if call.context is None:
                call.callback(*call.args)
            else:
                call.context.run(call.callback, *call.args)

    def _pass(self) -> None:
        """Let time pass until something is due; none while something is ready."""
        self._turns += 1
        if self._ready:
            if self._turns > SPINNING:
                raise StandsStillError("spinning")
            return
        timers = self._timers
        while timers and timers[0][1].cancelled:
            heappop(timers)
        if not timers:
            raise StandsStillError("nothing to wait for")
        if timers[0][0] > self._now:
            self._now, self._turns = timers[0][0], 0
