"""Numbers the messages that are due at an even rate, by the caller's clock. Never exceeds the total."""


class Pace:
    """`rate` per second for `seconds`. Late messages are due at once, so the total is exact."""

    def __init__(self, rate: float, seconds: float) -> None:
        self.rate = rate
        self.total = round(rate * seconds)
        self.taken = 0

    @property
    def done(self) -> bool:
        """Return whether the total was taken."""
        return self.taken >= self.total

    def take(self, elapsed: float, most: int) -> range:
        """Take the messages due `elapsed` seconds after the start, at most `most`; return their numbers."""
        until = min(self.total, int(elapsed * self.rate), self.taken + most)
        taken = range(self.taken, max(until, self.taken))
        self.taken = taken.stop
        return taken
