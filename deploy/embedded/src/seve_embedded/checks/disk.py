"""Checks the free space of the disk and the speed of its fsync: a full disk stops everything, and every commit waits
for an fsync. Standard library only.
"""

import os
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from seve_embedded.checks.finding import WARNING, Finding
from seve_embedded.shared.disk import fits

AREA: Final = "disk"
SLOW_SECONDS: Final = 0.02
LEAST_FREE: Final = 1 << 30
_BLOCK: Final = b"\0" * 4096
_SYNCS: Final = 20
_PATIENCE: Final = 1.0


class Disk(NamedTuple):
    """Free bytes of the data's file system, and the median seconds of an fsync of 4 KiB; None if nothing can be
    written.
    """

    free: int
    sync: float | None


def measure(folder: Path) -> Disk:
    """Measure the disk of `folder`, or of its nearest existing parent. Writes one file, and removes it."""
    while not folder.exists():
        folder = folder.parent
    return Disk(shutil.disk_usage(folder).free, _sync(folder) if os.access(folder, os.W_OK) else None)


def _sync(folder: Path) -> float:
    taken: list[float] = []
    with tempfile.TemporaryFile(dir=folder) as file:
        while len(taken) < _SYNCS and sum(taken) < _PATIENCE:
            file.write(_BLOCK)
            file.flush()
            began = time.monotonic()
            os.fsync(file.fileno())
            taken.append(time.monotonic() - began)
    return median(taken)


def check(disk: Disk, *, where: object, growth: int, sync_interval: str) -> list[Finding]:
    """Judge a disk. The streams may grow by `growth` bytes; `sync_interval` is NATS_SYNC_INTERVAL."""
    found = []
    if disk.free < growth + LEAST_FREE or not fits(growth, disk.free):
        what = f"{where} has {_gib(disk.free)} free, three quarters of it for streams, which may grow by {_gib(growth)}"
        found.append(Finding(AREA, what, "free some, or lower JOURNAL_MAX_BYTES and HISTORY_MAX_BYTES in .env"))
    if disk.sync is not None and disk.sync > SLOW_SECONDS:
        each = f"an fsync takes {disk.sync * 1000:.0f} ms"
        if sync_interval == "always":
            what = f"{each}: at most {1 / disk.sync:.0f} messages of a kind per second"
            found.append(Finding(AREA, what, "NATS_SYNC_INTERVAL=1s in .env, or a faster disk below .seve", WARNING))
        else:
            what = f"{each}: the database commits at most {1 / disk.sync:.0f} batches per second and writer"
            found.append(Finding(AREA, what, "BATCH_SIZE=1000 in .env, or a faster disk below .seve", WARNING))
    return found


def described(disk: Disk) -> str:
    """Return the measurements as text."""
    sync = "sync not measured" if disk.sync is None else f"sync {disk.sync * 1000:.1f} ms"
    return f"disk ({_gib(disk.free)} free, {sync})"


def _gib(size: int) -> str:
    return f"{size / (1 << 30):,.1f} GiB"
