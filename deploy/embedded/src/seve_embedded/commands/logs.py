"""`logs`: the programs' logs as they grow, each line with its program's name. Reads files; asks no program."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from seve_runtime.errors import SeveError

from seve_embedded.shared import logfile
from seve_embedded.stack import Stack

POLL_SECONDS: Final = 0.25


OTHER_LOGS: Final = ("setup", "supervisor")
"""Logs that are shown only when named."""


class NoSuchProgram(SeveError):
    """No program writes a log of that name."""


class LogTail:
    """One growing log, which the supervisor rotates when it is full."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode = path.stat().st_ino if path.exists() else None
        self._position = path.stat().st_size if path.exists() else 0
        self._rest = b""

    def new_lines(self) -> list[str]:
        """Return the complete lines added since the last call."""
        try:
            with self._path.open("rb") as file:
                self._begin_again_where_rotated()
                file.seek(self._position)
                found = file.read()
        except FileNotFoundError:
            return []
        self._position += len(found)
        *lines, self._rest = (self._rest + found).split(b"\n")
        return [line.decode(errors="replace") for line in lines]

    def _begin_again_where_rotated(self) -> None:
        stat = self._path.stat()
        if stat.st_ino != self._inode or stat.st_size < self._position:
            self._inode, self._position, self._rest = stat.st_ino, 0, b""


def follow(
    stack: Stack, only: Sequence[str], *, lines: int, once: bool, raw: bool, show: Callable[[str], None]
) -> None:
    """Show the last lines of every log, or of the named ones, then new lines, until interrupted.

    Raises NoSuchProgram.
    """
    known = [program.name for program in stack.current.programs]
    if strangers := [name for name in only if name not in (*known, *OTHER_LOGS)]:
        raise NoSuchProgram(
            f"no program is called {', '.join(strangers)}: there are {', '.join((*known, *OTHER_LOGS))}"
        )
    names = list(only) or known
    width = max(map(len, names))

    def say(name: str, line: str) -> None:
        show(f"{name:<{width}}  {line if raw else logfile.readable(line)}")

    followed = {name: LogTail(stack.state.log(name)) for name in names}
    for name in names:
        for line in logfile.last_lines(stack.state.log(name), lines):
            say(name, line)
    while not once:
        for name, log in followed.items():
            for line in log.new_lines():
                say(name, line)
        time.sleep(POLL_SECONDS)
