"""Finds modules without a message for too long. Takes the time as an argument; sends nothing.

Times are compared as text, which works for RFC 3339 of fixed width. A text that is no time raises no error; whether its
module counts as silent is then undefined.
"""

from collections.abc import Iterator

from seve_schema.times import MICROS, format_time

from seve_broadcaster.snapshot.snapshot import LatestValues


class Silence:
    """Finds modules without a message for `after` seconds; 0: never."""

    def __init__(self, latest: LatestValues, after: float) -> None:
        self._latest = latest
        self._after = after
        self._silent: set[str] = set()

    def changes(self, now: float) -> Iterator[tuple[str, bool]]:
        """Yield modules that fell silent or sent again since the last call, at `now` (seconds since 1970)."""
        if not self._after:
            return
        self._silent &= self._latest.modules.keys()
        before = format_time(int((now - self._after) * MICROS))
        for name, module in self._latest.modules.items():
            silent = "" < module.heard < before
            if silent != (name in self._silent):
                (self._silent.add if silent else self._silent.discard)(name)
                yield name, silent
