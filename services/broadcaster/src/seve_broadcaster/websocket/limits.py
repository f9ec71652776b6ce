"""Limits that need counting. Take the time as an argument; close nothing themselves."""


class Rate:
    """A bucket of tokens: `rate` a second, at most `burst` saved up."""

    __slots__ = ("_burst", "_left", "_rate", "_then")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._then = now

    def allows(self, now: float) -> bool:
        """Whether one more may pass at `now` (seconds, monotonic); takes a token if so."""
        self._left = min(self._burst, self._left + (now - self._then) * self._rate)
        self._then = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
