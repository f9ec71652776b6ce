"""How long to wait before the next attempt at the broker: half a second after a connection that stood, twice as long
each time after, up to `MQTT_RECONNECT`. No clock of its own.

A connection stood if it lasted several times as long as was waited for it: two clients of one name, which a broker lets
in in turn, take it from each other ever more slowly.
"""

from typing import Final

FIRST: Final = 0.5
STEADY: Final = 4


class Retries:
    """`longest` is the longest wait, seconds: also the first one where nothing stood yet."""

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._next = longest
        self._last = 0.0

    def after(self, stood: float) -> float:
        """Seconds to wait after a connection that had stood for so many, or after an attempt that made none (0)."""
        if stood > STEADY * self._last:
            self._next = min(FIRST, self._longest)
        self._last, self._next = self._next, min(2 * self._next, self._longest)
        return self._last
