"""CPU time, memory and wake-ups of processes, out of /proc."""

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

TICKS = os.sysconf("SC_CLK_TCK")
SAMPLE_SECONDS = 0.5
SHARED = ("postgres",)
"""Parts whose processes share memory, which would be counted once for each: their proportional size is taken."""


def family(pid: int) -> list[int]:
    """A process and all its descendants; those that end meanwhile are left out."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return []
    return [pid, *(each for child in children for each in family(int(child)))]


def cpu_seconds(pid: int) -> float:
    """CPU time, user and system, of a process and its descendants, also of those that ended."""
    total = 0.0
    for each in family(pid):
        with suppress(FileNotFoundError, ProcessLookupError):  # its parent has its time now
            fields = Path(f"/proc/{each}/stat").read_text().rsplit(")", 1)[1].split()
            total += sum(map(int, fields[11:15])) / TICKS
    return total


def resident(pid: int, *, proportional: bool = False) -> int:
    """Bytes in memory of a process and its descendants."""
    file, key = ("smaps_rollup", "Pss:") if proportional else ("status", "VmRSS:")
    total = 0
    for each in family(pid):
        with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            lines = Path(f"/proc/{each}/{file}").read_text().splitlines()
            total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))
    return total


def descriptors(pid: int) -> int:
    """Open file descriptors of a process and its descendants."""
    total = 0
    for each in family(pid):
        with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            total += sum(1 for _ in Path(f"/proc/{each}/fd").iterdir())
    return total


def on_disk(folder: Path) -> int:
    """Bytes that the files below a folder take on their disk; those that vanish meanwhile are left out."""
    total = 0
    for root, _, files in os.walk(folder):
        for name in files:
            with suppress(FileNotFoundError):
                total += os.lstat(os.path.join(root, name)).st_blocks * 512  # noqa: PTH118  (a Path costs more)
    return total


def wakeups(pid: int) -> int:
    """How often a process and its descendants, all their threads, slept and were woken."""
    total = 0
    for each in family(pid):
        for status in Path(f"/proc/{each}/task").glob("*/status"):
            with suppress(FileNotFoundError, ProcessLookupError):
                lines = status.read_text().splitlines()
                total += sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))
    return total


def machine_seconds() -> float:
    """CPU time that all processors of the machine have spent on anything, other guests of the host included."""
    fields = [int(field) / TICKS for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(fields) - fields[3] - fields[4]  # idle, and idle that waits for a disk


class Usage:
    """What parts (by name: pid) use while the context lasts: `cpu` in seconds, `wakeups`, `peak` and `series` in bytes;
    a series is a list of (seconds since the start, bytes). `busy` is the whole machine's CPU time in those `seconds`.
    """

    def __init__(self, processes: dict[str, int]) -> None:
        self._processes = processes
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="usage")
        self.seconds = self.busy = 0.0
        self.cpu: dict[str, float] = {}
        self.wakeups: dict[str, int] = {}
        self.series: dict[str, list[tuple[float, int]]] = {part: [] for part in processes}

    @property
    def peak(self) -> dict[str, int]:
        """The most memory each part had."""
        return {part: max(size for _, size in series) for part, series in self.series.items()}

    def __enter__(self) -> Self:
        self._before, self._began, self._busy = self._now(), time.monotonic(), machine_seconds()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        after, self.seconds, self.busy = self._now(), time.monotonic() - self._began, machine_seconds() - self._busy
        self._stop.set()
        self._thread.join()
        for part, (cpu, woken) in self._before.items():
            self.cpu[part], self.wakeups[part] = after[part][0] - cpu, after[part][1] - woken

    def _now(self) -> dict[str, tuple[float, int]]:
        return {part: (cpu_seconds(pid), wakeups(pid)) for part, pid in self._processes.items()}

    def _watch(self) -> None:
        at = 0.0
        while True:
            for part, pid in self._processes.items():
                self.series[part].append((at, resident(pid, proportional=part in SHARED)))
            if self._stop.wait(SAMPLE_SECONDS):
                return
            at += SAMPLE_SECONDS
