"""Which modules have said nothing for too long. Takes the time as an argument; tells nobody."""

from collections.abc import Iterator
from datetime import datetime

from seve_broadcaster.snapshot.snapshot import Present


class Silence:
    """Modules that were not heard for `after` seconds; 0 is never."""

    def __init__(self, present: Present, after: float) -> None:
        self._present = present
        self._after = after
        self._silent: set[str] = set()

    def changes(self, now: float) -> Iterator[tuple[str, bool]]:
        """Modules that fell silent or spoke again since the last call, at `now` (seconds since 1970)."""
        if not self._after:
            return
        for name, module in self._present.modules.items():
            silent = now - _seconds(module.heard, now) > self._after
            if silent != (name in self._silent):
                (self._silent.add if silent else self._silent.discard)(name)
                yield name, silent


def _seconds(heard: str, now: float) -> float:
    """Return a time of receipt in seconds since 1970, or `now` for a text that is none: nothing is known then."""
    try:
        return datetime.fromisoformat(heard).timestamp()
    except ValueError:
        return now
