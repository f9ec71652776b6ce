"""How long to wait before the next attempt at the broker: half a second after a connection that stood, twice as long
each time after, up to `MQTT_RECONNECT`. No clock of its own.

One that was lost soon after it was accepted did not stand: two clients of one name, which a broker lets in in turn,
take it from each other no more often than that.
"""

from typing import Final

FIRST: Final = 0.5


class Retries:
    """`longest` is the longest wait, seconds: also the first one where nothing stood yet."""

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._next = longest

    def after(self, stood: float) -> float:
        """Seconds to wait after a connection that had stood for so many, or after an attempt that made none (0)."""
        if stood > self._longest:
            self._next = min(FIRST, self._longest)
        wait, self._next = self._next, min(2 * self._next, self._longest)
        return wait
