"""Files of keys and certificates that are read again when they change, without a restart."""

from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

log = structlog.get_logger()


class Watched:
    """Calls `load` for files named by settings: at once, and whenever one of the files changed.

    `load` raises OSError or ValueError where it cannot use them; what was loaded before then stays in use.
    """

    def __init__(self, settings: str, paths: Sequence[Path], load: Callable[[], None]) -> None:
        """Raises OSError and ValueError as `load` does."""
        self._settings = settings
        self._paths = paths
        self._load = load
        self._failures = 0
        self._read()

    def fresh(self) -> None:
        """Load the files again if one changed; to be called every second. A failure is logged ever more rarely."""
        try:
            if self._stamps() != self._loaded:
                self._read()
                log.info("files read again", settings=self._settings)
            self._failures = 0
        except (OSError, ValueError) as error:
            self._failures += 1
            if self._failures & (self._failures - 1) == 0:  # the 1st, 2nd, 4th, 8th, ... time
                log.warning(
                    "files not read again; the old ones stay in use",
                    settings=self._settings,
                    error=type(error).__name__,  # its text may quote the file
                )

    def _read(self) -> None:
        stamps = self._stamps()
        self._load()
        self._loaded = stamps

    def _stamps(self) -> list[tuple[int, int]]:
        return [(stat.st_mtime_ns, stat.st_ino) for stat in (path.stat() for path in self._paths)]
