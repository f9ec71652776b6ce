"""Decides which rows wait and when a batch is due: by default when 100 rows wait, or when the oldest has waited for 5
s. Where batches follow each other, they begin `FLUSH_PACE` apart. Does no I/O: the caller passes the time (seconds,
monotonic). Never splits a NATS message over two batches, since a message is acknowledged as a whole.
"""

import math
from collections import deque
from typing import Final, Literal, NamedTuple

from seve_writer.decode import Report, Unit

Trigger = Literal["size", "interval", "backlog", "shutdown"]

FLUSH_PACE: Final = 0.05
"""Seconds between the beginnings of two flushes, unless BATCH_MAX rows wait. A transaction costs as much as a hundred
rows, and an fsync: at 20,000 rows per second, 20 transactions in a second instead of 100. See decision 0212.
"""


class Batch(NamedTuple):
    """The rows of one flush. The trigger `backlog` means that the database was slower than the stream."""

    units: list[Unit]
    trigger: Trigger
    oldest: float


class Waiting:
    """Messages that wait for a flush. A row is a sample, or one sensor of a report; any other envelope counts as one.

    Bound: set by the caller, `journal.consumer`, which stops fetching at `FETCH_MAX_BYTES` and `2 x BATCH_MAX`
    messages. Overflow rule: block. Counter: `rows`.
    """

    def __init__(self, size: int, interval: float, most: int) -> None:
        self._size = size
        self._interval = interval
        self._most = most
        self._messages: deque[tuple[float, int, list[Unit]]] = deque()
        self._rows = 0
        self._flushing = False
        self._outrun = False
        self._next = -math.inf

    @property
    def rows(self) -> int:
        """The number of waiting rows."""
        return self._rows

    @property
    def full(self) -> bool:
        """Whether enough rows wait for a flush before the interval ends."""
        return self._rows >= self._size

    def add(self, units: list[Unit], now: float) -> None:
        """Queue the envelopes of one message. If a full batch is due while a flush still runs, there is a backlog."""
        self._outrun = self._outrun or (self._flushing and self.full and self.due_in(now) == 0)
        rows = _rows(units)
        self._messages.append((now, rows, units))
        self._rows += rows

    def due_in(self, now: float) -> float | None:
        """Return the seconds until a flush is due: 0 if it is, None if no row waits."""
        if not self._messages:
            return None
        if self._rows >= self._most:
            return 0.0
        oldest = self._messages[0][0] + self._interval
        return max(0.0, (min(self._next, oldest) if self.full else oldest) - now)

    def take(self, now: float, *, stopping: bool = False) -> Batch:
        """Begin a flush and return its batch: all waiting rows up to BATCH_MAX, at least one message.

        Call it when rows wait and a flush is due, or when `stopping`; call `flushed` when the flush has ended.
        """
        trigger: Trigger = "interval"
        if stopping:
            trigger = "shutdown"
        elif self.full:
            trigger = "backlog" if self._outrun else "size"
        oldest, rows, units = self._messages.popleft()
        units = list(units)
        while self._messages and rows + self._messages[0][1] <= self._most:
            _, more, following = self._messages.popleft()
            rows += more
            units += following
        self._rows -= rows
        self._flushing, self._outrun, self._next = True, self.full, now + FLUSH_PACE
        return Batch(units, trigger, oldest)

    def flushed(self) -> None:
        """End the flush that `take` began."""
        self._flushing = False


def _rows(units: list[Unit]) -> int:
    """Return the number of rows of a message. All its envelopes are of one kind; only a report has several rows."""
    if units and type(units[0].content) is tuple:
        return len(units)
    return sum(_rows_of(unit.content) for unit in units)


def _rows_of(content: object) -> int:
    return max(1, len(content.metadata)) if isinstance(content, Report) and isinstance(content.metadata, dict) else 1
