"""Numbers the messages that are due at an even rate, by the caller's clock, never more than the total."""


class Pace:
    """`rate` per second for `seconds`. Late messages are due at once, so the total is exact."""

    def __init__(self, rate: float, seconds: float) -> None:
        self.rate = rate
        self.total = round(rate * seconds)
        self.taken = 0

    @property
    def done(self) -> bool:
        """Whether the total was taken."""
        return self.taken >= self.total

    def take(self, elapsed: float, most: int) -> range:
        """The numbers of the messages due `elapsed` seconds after the start, at most `most` of them, now taken."""
        until = min(self.total, int(elapsed * self.rate), self.taken + most)
        taken = range(self.taken, max(until, self.taken))
        self.taken = taken.stop
        return taken
