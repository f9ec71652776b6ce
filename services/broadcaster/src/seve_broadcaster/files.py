"""Reloads files of keys and certificates when they change, without a restart."""

from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

log = structlog.get_logger()


class WatchedFiles:
    """Calls `load` for files named by settings: at once, and whenever one of the files changed.

    `load` raises OSError or ValueError if it cannot use them; the earlier contents then stay in use.
    """

    def __init__(self, settings: str, paths: Sequence[Path], load: Callable[[], None]) -> None:
        """Load the files. Raises OSError and ValueError as `load` does."""
        self._settings = settings
        self._paths = paths
        self._load = load
        self._failures = 0
        self._read()

    def fresh(self) -> None:
        """Reload the files if one changed; to be called every second. Logs repeated failures less and less often."""
        try:
            if self._stamps() != self._loaded:
                self._read()
                log.info("files reloaded", settings=self._settings)
            self._failures = 0
        except (OSError, ValueError) as error:
            self._failures += 1
            if self._failures & (self._failures - 1) == 0:  # the 1st, 2nd, 4th, 8th, ... time
                log.warning(
                    "files not reloaded; the old ones stay in use",
                    settings=self._settings,
                    error=type(error).__name__,  # its text may quote the file
                )

    def _read(self) -> None:
        stamps = self._stamps()
        self._load()
        self._loaded = stamps

    def _stamps(self) -> list[tuple[int, int]]:
        return [(stat.st_mtime_ns, stat.st_ino) for stat in (path.stat() for path in self._paths)]
