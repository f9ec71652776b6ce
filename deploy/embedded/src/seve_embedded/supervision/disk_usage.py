"""Reads how much room a disk has and how much a folder takes. Decides nothing: `shared.disk` does."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from seve_embedded.shared.disk import Room


def room_at(*folders: Path) -> Room:
    """Return the least room of the folders' disks; each folder may be a link to another disk."""
    usages = [shutil.disk_usage(folder) for folder in folders if folder.exists()]
    return min(Room(usage.free, usage.total) for usage in usages)


def size_of(folder: Path) -> int:
    """Return the bytes of all files below a folder; files that vanish meanwhile do not count."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += (Path(path) / name).stat().st_size
    return total
