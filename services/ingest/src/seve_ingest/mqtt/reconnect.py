"""The backoff between attempts to connect to the broker: half a second after a stable connection, doubled after each
failure, up to `MQTT_RECONNECT`. Reads no clock.

A connection counts as stable once it has lasted several times the backoff that preceded it. So two clients with one
client id, which disconnect each other in turn, do so ever more slowly.
"""

from typing import Final

FIRST: Final = 0.5
"""Seconds."""

STABLE: Final = 4
"""A connection is stable after this many times the backoff that preceded it."""


class Retries:
    """Computes the waits of one session. `longest` (seconds) is also the wait before the first stable connection."""

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._next = longest
        self._last = 0.0

    def after(self, lasted: float) -> float:
        """Return the seconds to wait after a connection that lasted `lasted` seconds; 0 for a failed attempt."""
        if lasted > STABLE * self._last:
            self._next = min(FIRST, self._longest)
        self._last, self._next = self._next, min(2 * self._next, self._longest)
        return self._last
