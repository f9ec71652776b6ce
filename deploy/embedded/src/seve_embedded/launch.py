"""Starts a program for the supervisor: records the process as one of the stack's, then becomes the program.

`python -m seve_embedded.launch NAME`; reads the program's command and environment from the stack's folder.
"""

import os
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

from seve_embedded.plan import Plan
from seve_embedded.state import State
from seve_embedded.supervision import processes
from seve_embedded.supervision.config import STATE_VARIABLE

RESTART_SECONDS: Final = 2.0
"""Seconds between starts of a program that dies at once; one that ran longer is restarted without delay."""


def main() -> None:
    """Become the program named by the first argument."""
    state, name = State(os.environ[STATE_VARIABLE]), sys.argv[1]
    program = msgspec.json.decode(state.plan.read_bytes(), type=Plan).program(name)
    if program is None:
        sys.exit(f"{state.plan} knows no program {name}")
    time.sleep(_pause(state.pids / name))
    try:
        processes.record(state.pids, name, os.getpid())
    except OSError as error:  # such as a full disk: the supervisor tries again after the pause
        time.sleep(RESTART_SECONDS)
        sys.exit(f"cannot write {state.pids / name}: {error.strerror}")
    os.chdir(state.folder.parent)  # paths in settings are relative to the project's folder
    os.execvpe(program.command[0], program.command, {**os.environ, **program.environment})  # noqa: S606


def _pause(earlier: Path) -> float:
    """Return the seconds to wait since an earlier start."""
    try:
        return max(0.0, min(RESTART_SECONDS, earlier.stat().st_mtime + RESTART_SECONDS - time.time()))
    except FileNotFoundError:
        return 0.0


if __name__ == "__main__":
    main()
