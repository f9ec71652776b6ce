"""Chooses the mode of a command: in containers or embedded. Standard library only."""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

DOCKER: Final = "docker"
EMBEDDED: Final = "embedded"
NO_ENGINE: Final = "no Docker engine answers"


class UnknownMode(ValueError):
    """MODE names no mode; `faults` has the one text that says so."""

    def __init__(self, mode: str) -> None:
        self.faults = [f"MODE = {mode!r}: expected docker or embedded"]
        super().__init__(self.faults[0])


def choose(command: str, environ: Mapping[str, str], root: Path, impossible: Callable[[], str | None]) -> str:
    """Return the mode: MODE; else that of a running embedded stack; else Docker for `up` if possible; else that of the
    last `up`. Before the first `up`, `certs` takes the mode that `up` would.

    `impossible` returns why Docker cannot run the stack; this is printed unless it is the usual reason. Raises
    UnknownMode.
    """
    asked = environ.get("MODE")
    if asked:
        if asked not in (DOCKER, EMBEDDED):
            raise UnknownMode(asked)
        return asked
    if embedded_runs(root):
        return EMBEDDED
    last = root / ".seve/mode"
    if command not in ("up", "certs") or (command == "certs" and last.exists()):
        return last.read_text(encoding="utf-8").strip() if last.exists() else EMBEDDED
    why = impossible()
    if why is None:
        return DOCKER
    if why != NO_ENGINE:
        print(f"{why}: running without it (MODE=embedded)", file=sys.stderr)
    return EMBEDDED


def remember(mode: str, root: Path) -> None:
    """Record the mode of this `up` for later commands."""
    folder = root / ".seve"
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "mode").write_text(f"{mode}\n", encoding="utf-8")


def embedded_runs(root: Path) -> bool:
    """Return whether a process that an embedded stack recorded still runs."""
    folder = root / ".seve/run/pids"
    records = [path.read_text(encoding="utf-8").split() for path in folder.glob("*")] if folder.is_dir() else []
    return any(_alive(int(record[0])) for record in records if record and record[0].isdigit())


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
