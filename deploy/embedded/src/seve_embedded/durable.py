"""Syncs files to the disk, so that a power loss does not take them. Writes none."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Wait until a file's contents, or a folder's list of names, are on the disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
