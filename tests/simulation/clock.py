"""An event loop on virtual time: it never waits, and its clock jumps to whatever happens next. It opens no socket,
starts no thread and hears no signal.

asyncio's own loop took a third of a story's time: it compares timers in Python, and asks a selector each turn.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, Final

from seve_schema.times import MICROS

EPOCH: Final = 1_764_529_200 * MICROS
"""The time of day when a story begins, microseconds since 1970."""


SPINNING: Final = 20_000
"""Turns of the loop at one moment, after which it is taken to be in an endless loop."""

TOGETHER: Final = 1e-9
"""Seconds within which timers are due at one moment."""


MANY: Final = 100
"""Timers above which those that were cancelled are removed once they are more than half."""


class StandsStillError(Exception):
    """Every task waits and no time will wake one, or they go round in circles and no time passes."""


class Call:
    """A callback that waits for its turn, and can be cancelled until then."""

    __slots__ = ("args", "callback", "context", "dropped", "timer_of")

    def __init__(self, callback: Callable[..., object], args: tuple, context: Context | None) -> None:
        self.callback = callback
        self.args = args
        self.context = context
        self.dropped = False
        self.timer_of: VirtualLoop | None = None

    def __lt__(self, other: "Call") -> bool:
        """No timer of one moment is before another."""
        return False

    def cancel(self) -> None:
        if not self.dropped:
            self.dropped = True
            if self.timer_of is not None:
                self.timer_of.dropped += 1


class VirtualLoop(asyncio.AbstractEventLoop):
    """What asyncio's tasks, futures and timeouts ask of a loop, and nothing else."""

    def __init__(self) -> None:
        self._now = 0.0
        self._turns = 0
        self._ready: deque[Call] = deque()
        self._timers: list[tuple[float, Call]] = []
        self.dropped = 0
        """Timers that were cancelled and are still in the heap."""
        self._handler: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None = None

    def time(self) -> float:
        return self._now

    def micros(self) -> int:
        """The time of day, microseconds since 1970."""
        return EPOCH + round(self._now * MICROS)

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return asyncio._get_running_loop() is self

    def is_closed(self) -> bool:
        return False

    def close(self) -> None:
        self._ready.clear()
        self._timers.clear()

    def create_future(self) -> asyncio.Future:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Coroutine, *, name: str | None = None, context: Context | None = None) -> asyncio.Task:
        return asyncio.Task(coro, loop=self, name=name, context=context)

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
        call.timer_of = self
        heapq.heappush(self._timers, (when, call))
        return call

    def set_exception_handler(self, handler: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object]) -> None:
        self._handler = handler

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if self._handler is not None:
            self._handler(self, context)

    def run_until_complete(self, future: Any) -> Any:
        """Run until it is done. Raises StandsStillError if it never will be."""
        future = asyncio.ensure_future(future, loop=self)
        asyncio._set_running_loop(self)
        try:
            while not future.done():
                self._turn()
        finally:
            asyncio._set_running_loop(None)
        return future.result()

    def _turn(self) -> None:
        """Let time pass until something is due, and run all that is due by then."""
        self._forget_dropped()
        ready, timers = self._ready, self._timers
        if not ready and not timers:
            raise StandsStillError("nothing to wait for")
        self._pass(0.0 if ready else timers[0][0] - self._now)
        end = self._now + TOGETHER
        while timers and timers[0][0] < end:
            call = heapq.heappop(timers)[1]
            call.timer_of = None
            ready.append(call)
        for _ in range(len(ready)):
            call = ready.popleft()
            if not call.dropped:
                self._run(call)

    def _forget_dropped(self) -> None:
        if len(self._timers) > MANY and self.dropped > len(self._timers) / 2:
            self._timers = [timer for timer in self._timers if not timer[1].dropped]
            heapq.heapify(self._timers)
            self.dropped = 0
        while self._timers and self._timers[0][1].dropped:
            heapq.heappop(self._timers)
            self.dropped -= 1

    def _pass(self, seconds: float) -> None:
        if seconds > 0:
            self._turns = 0
            self._now += seconds
            return
        self._turns += 1
        if self._turns > SPINNING:
            raise StandsStillError("spinning")

    def _run(self, call: Call) -> None:
        try:
            if call.context is None:
                call.callback(*call.args)
            else:
                call.context.run(call.callback, *call.args)
        except Exception as error:
            self.call_exception_handler({"message": repr(error), "exception": error})
