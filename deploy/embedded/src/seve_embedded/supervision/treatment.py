"""Decides when a part that runs but does not work is restarted. Pure: takes the findings and the time.

A fault has to last before a restart; restarts that do not help become rarer; while the disk is full there are none,
since they would not help. Does not judge a part that does not run: the supervisor restarts that itself.
"""

from math import inf
from typing import Final, NamedTuple

PATIENCE: Final = 20.0
"""Seconds that a fault must last."""

START_PATIENCE: Final = 300.0
"""Seconds that a part may run without listening: a server first reads its files."""

NO_CURE: Final = inf
"""The patience for a fault that a restart cannot cure, such as a server with too many clients."""

FIRST_INTERVAL: Final = 30.0
LONGEST_INTERVAL: Final = 600.0
"""Seconds between two restarts, doubled each time."""

WELL_AGAIN: Final = 300.0
"""Seconds without a fault after which the interval is reset."""


class PartFault(NamedTuple):
    """A fault of a part, in one line, and how many seconds it may last."""

    reason: str
    patience: float = PATIENCE


class Patient:
    """One part and its restarts so far."""

    def __init__(self) -> None:
        self._faulty_since: float | None = None
        self._well_since: float | None = None
        self._allowed_at = -inf
        self._interval = FIRST_INTERVAL

    def observe(self, fault: PartFault | None, now: float, *, disk_full: bool = False) -> bool:
        """Return whether to restart the part, given its fault at `now` (seconds, monotonic).

        When a full disk has space again, the next restart need not wait.
        """
        if fault is None:
            self._well(now)
            return False
        self._well_since = None
        if self._faulty_since is None:
            self._faulty_since = now
        if disk_full:
            self._allowed_at = -inf
            return False
        if now - self._faulty_since < fault.patience or now < self._allowed_at:
            return False
        self._faulty_since = None
        self._allowed_at, self._interval = now + self._interval, min(2 * self._interval, LONGEST_INTERVAL)
        return True

    def _well(self, now: float) -> None:
        self._faulty_since = None
        if self._well_since is None:
            self._well_since = now
        elif now - self._well_since >= WELL_AGAIN:
            self._interval = FIRST_INTERVAL
