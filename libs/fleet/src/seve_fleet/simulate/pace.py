"""How many messages are due: an even rate against the clock of the caller, never more than the total."""


class Pace:
    """`rate` a second for `seconds`; what was missed is due at once, so that the total comes out exactly."""

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
