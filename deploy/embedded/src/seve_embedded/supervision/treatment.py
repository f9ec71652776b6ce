"""Decides when a part that runs and does not work is restarted. Pure: gets the findings and the time.

A fault has to last before a restart, restarts that do not help come ever more rarely, and none is tried while the disk
is full, since it would not help. Refuses to judge a part that does not run: the supervisor starts that by itself.
"""

from math import inf
from typing import Final, NamedTuple

PATIENCE: Final = 20.0
"""Seconds that a fault must last."""

START_PATIENCE: Final = 300.0
"""Seconds that a part may run without listening: a server reads its files first."""

NO_CURE: Final = inf
"""The patience with a fault that a restart cannot mend, such as a server with too many clients."""

FIRST_INTERVAL: Final = 30.0
LONGEST_INTERVAL: Final = 600.0
"""Seconds from one restart to the next one, doubled each time."""

WELL_AGAIN: Final = 300.0
"""Seconds without a fault after which the intervals begin anew."""


class PartFault(NamedTuple):
    """A fault of a part, in one line, and the seconds to wait for its end."""

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

        Space that comes back after a full disk ends the wait between two restarts.
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
