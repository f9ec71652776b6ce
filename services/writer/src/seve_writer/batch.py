"""The 5 s / 100 rule: what waits to be written and when it is due. No I/O: the caller brings the time (seconds,
monotonic). A NATS message is never split over two batches, since it is acknowledged as a whole.
"""

from collections import deque
from typing import Literal, NamedTuple

from seve_writer.decode import Unit

Trigger = Literal["size", "interval", "backlog", "shutdown"]


class Batch(NamedTuple):
    """What one flush writes. The trigger `backlog` means that the database was slower than the stream."""

    units: list[Unit]
    trigger: Trigger
    oldest: float


class Waiting:
    """Messages that wait for a flush. Rows are envelopes, whatever their kind.

    Its bound is the caller's: whoever feeds it stops at `FETCH_MAX_BYTES` and `2 x BATCH_MAX` messages (`consumer`).
    """

    def __init__(self, size: int, interval: float, most: int) -> None:
        self._size = size
        self._interval = interval
        self._most = most
        self._messages: deque[tuple[float, list[Unit]]] = deque()
        self._rows = 0
        self._flushing = False
        self._outrun = False

    @property
    def rows(self) -> int:
        """Rows that wait."""
        return self._rows

    @property
    def full(self) -> bool:
        """Whether a flush is due whatever the time."""
        return self._rows >= self._size

    def add(self, units: list[Unit], now: float) -> None:
        """Let the envelopes of one message wait."""
        self._outrun = self._outrun or (self._flushing and self.full)
        self._messages.append((now, units))
        self._rows += len(units)

    def due_in(self, now: float) -> float | None:
        """Seconds until a flush is due, 0 when it is; None while nothing waits."""
        if not self._messages:
            return None
        return 0.0 if self.full else max(0.0, self._messages[0][0] + self._interval - now)

    def take(self, *, stopping: bool = False) -> Batch:
        """What the flush that begins now writes: everything, up to the most; at least one message. `flushed` ends it.

        Call it when something waits and a flush is due, or when `stopping`.
        """
        trigger: Trigger = "interval"
        if stopping:
            trigger = "shutdown"
        elif self.full:
            trigger = "backlog" if self._outrun else "size"
        oldest, units = self._messages.popleft()
        units = list(units)
        while self._messages and len(units) + len(self._messages[0][1]) <= self._most:
            units += self._messages.popleft()[1]
        self._rows -= len(units)
        self._flushing, self._outrun = True, self.full
        return Batch(units, trigger, oldest)

    def flushed(self) -> None:
        """The flush that `take` began has ended."""
        self._flushing = False
