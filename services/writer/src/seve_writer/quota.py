"""How many of each reason a second. No clock of its own."""

from typing import Final

PER_SECOND: Final = 100


class Quota:
    """Allows `most` of each reason in one second of the caller's clock."""

    def __init__(self, most: int = PER_SECOND) -> None:
        self._most = most
        self._second = 0
        self._used: dict[str, int] = {}

    def allows(self, reason: str, now: float) -> bool:
        """Whether one more of `reason` is within the second of `now` (seconds)."""
        if int(now) != self._second:
            self._second = int(now)
            self._used.clear()
        used = self._used.get(reason, 0)
        self._used[reason] = used + 1
        return used < self._most
