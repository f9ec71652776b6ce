"""Finds the stack's processes by pid and start, as each recorded them. Never by name, so that a neighbour's server
is never hit, and never by pid alone, so that neither is whoever got the number later.
"""

import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import psutil

from seve_embedded.state import FRESH_SUFFIX, write_private


class ProcessRecord(NamedTuple):
    """A process as it wrote itself down."""

    name: str
    pid: int
    start: str

    @property
    def alive(self) -> bool:
        """Whether that very process still runs; a zombie does not."""
        try:
            return start_of(self.pid) == self.start and psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


def start_of(pid: int) -> str:
    """Return what distinguishes a process from a later one with its number. Raises NoSuchProcess.

    On Linux the clock tick of its start and the boot it belongs to, which no change of the clock moves.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except ProcessLookupError as error:
        raise psutil.NoSuchProcess(pid) from error
    except FileNotFoundError:
        return f"{psutil.Process(pid).create_time():.2f}"
    return f"{boot}/{stat.rpartition(')')[2].split()[19]}"


def record(pids: Path, name: str, pid: int) -> None:
    """Write a process down."""
    write_private(pids / name, f"{pid} {start_of(pid)}\n")


def recorded(pids: Path) -> list[ProcessRecord]:
    """Everything written down, alive or not."""
    if not pids.is_dir():
        return []
    found = []
    for path in sorted(pids.iterdir()):
        if path.suffix == FRESH_SUFFIX:  # about to be renamed
            continue
        parts = path.read_text(encoding="utf-8").split()
        if len(parts) == 2 and parts[0].isdigit():
            found.append(ProcessRecord(path.name, int(parts[0]), parts[1]))
    return found


def alive(pids: Path) -> list[ProcessRecord]:
    """Return the processes that still run."""
    return [process for process in recorded(pids) if process.alive]


def send(process: ProcessRecord, number: signal.Signals) -> None:
    """Signal a process, if it is still that one."""
    if process.alive:
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            return


def wait_gone(processes: Iterable[ProcessRecord], seconds: float) -> list[ProcessRecord]:
    """Wait until all are gone, at most `seconds`; return those that are not."""
    deadline = time.monotonic() + seconds
    left = [process for process in processes if process.alive]
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = [process for process in left if process.alive]
    return left


def stop(process: ProcessRecord, number: signal.Signals, seconds: float) -> bool:
    """Ask a process to stop, and kill it after `seconds`; return whether it had to be killed."""
    send(process, number)
    if not wait_gone([process], seconds):
        return False
    send(process, signal.SIGKILL)
    wait_gone([process], 10)
    return True
