"""Numbers the messages that are due, at an even rate or at one that rises and falls, by the caller's clock. Never
exceeds the total.
"""

import math
from typing import Final

TURN: Final = 2 * math.pi


class Schedule:
    """`rate` per second for `seconds`. Late messages are due at once, so the total is exact.

    With `day` (seconds) the rate swings around `rate` by the share `swing` once per day, and starts at its lowest.
    """

    def __init__(self, rate: float, seconds: float, *, swing: float = 0.0, day: float = 0.0) -> None:
        self.rate = rate
        self.total = round(rate * seconds)
        self.taken = 0
        self._swing = swing if day else 0.0
        self._day = day or seconds

    @property
    def done(self) -> bool:
        """Return whether the total was taken."""
        return self.taken >= self.total

    def take(self, elapsed: float, most: int) -> range:
        """Take the messages due `elapsed` seconds after the start, at most `most`; return their numbers."""
        until = min(self.total, int(self._due(elapsed)), self.taken + most)
        taken = range(self.taken, max(until, self.taken))
        self.taken = taken.stop
        return taken

    def _due(self, elapsed: float) -> float:
        """Return how many are due: the integral of the rate."""
        behind = self._swing * self._day / TURN * math.sin(TURN * elapsed / self._day) if self._swing else 0.0
        return self.rate * (elapsed - behind)
