"""Three rate limits: one event per interval, a quota per key and second, and a token bucket. Pure: the caller passes
the time in seconds.
"""


class Throttle:
    """Allows one event per `interval` seconds and counts the others: for log lines that would repeat."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._next = float("-inf")
        self._held_back = 0

    def allows(self, now: float) -> bool:
        """Return whether an event may pass at `now`; count it if not."""
        if now < self._next:
            self._held_back += 1
            return False
        self._next = now + self._interval
        return True

    def held_back(self) -> int:
        """Return the number of events held back since the last call."""
        held_back, self._held_back = self._held_back, 0
        return held_back


class Quota:
    """Allows `most` events per key and second of the caller's clock. Bound: the keys seen in one second."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._second = 0
        self._used: dict[str, int] = {}

    def allows(self, key: str, now: float) -> bool:
        """Count an event of `key`; return whether it may pass in the second of `now`."""
        if int(now) != self._second:
            self._second = int(now)
            self._used.clear()
        used = self._used.get(key, 0)
        self._used[key] = used + 1
        return used < self._most


class TokenBucket:
    """Allows `rate` events per second on average, and up to `burst` at once after a pause."""

    __slots__ = ("_burst", "_left", "_rate", "_then")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._then = now

    def allows(self, now: float) -> bool:
        """Return whether one more event may pass at `now`; take a token if so."""
        self._left = min(self._burst, self._left + (now - self._then) * self._rate)
        self._then = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
