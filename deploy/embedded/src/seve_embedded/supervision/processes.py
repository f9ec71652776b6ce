"""Finds the stack's processes by the pid and start time that each recorded: never by name, which would find servers of
others too, and never by pid alone, which may belong to another process by now.
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
    """A process as it recorded itself."""

    name: str
    pid: int
    start: str

    @property
    def alive(self) -> bool:
        """Whether that same process still runs; a zombie does not."""
        try:
            return start_of(self.pid) == self.start and psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


def start_of(pid: int) -> str:
    """Return a value that distinguishes a process from a later one with its pid. Raises NoSuchProcess.

    On Linux: the clock tick of its start and the boot id, which do not depend on the wall clock.
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
    """Record a process."""
    write_private(pids / name, f"{pid} {start_of(pid)}\n")


def recorded(pids: Path) -> list[ProcessRecord]:
    """Return all recorded processes, alive or not."""
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
    """Return the recorded processes that still run."""
    return [process for process in recorded(pids) if process.alive]


def send(process: ProcessRecord, number: signal.Signals) -> None:
    """Signal a process, if it is still the recorded one."""
    if process.alive:
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            return


def wait_gone(processes: Iterable[ProcessRecord], seconds: float) -> list[ProcessRecord]:
    """Wait at most `seconds` until all have ended; return those that have not."""
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
