"""File systems of the matrix's own for the folders of NATS and PostgreSQL, in its mount namespace: small ones, and ones
whose every read and write fails when that is asked for.

Failing takes an ext4 of its own on a loop device and its SHUTDOWN ioctl, after which all calls return EIO until it is
mounted again. What was written before is flushed first, as on a disk that goes away; or it is dropped unless somebody
called fsync, as by a loss of power.
"""

import fcntl
import os
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

from support.conditions import wait_until
from support.stack import EmbeddedStack

SMALL: Final = 192 << 20
"""Bytes: NATS takes three quarters for its streams, which have 80 MiB here; empty, it is not full to the watchdog."""
LARGE: Final = 512 << 20
SERVERS: Final = ("nats", "postgres")
SHUTDOWN: Final = 0x8004587D
"""EXT4_IOC_SHUTDOWN of linux/fs/ext4/ioctl.c."""
FLUSHED: Final = 0
DROPPED: Final = 2
"""What becomes of writes that no fsync has put on the disk."""


@contextmanager
def small(stack: EmbeddedStack) -> Iterator[None]:
    """Small disks while the context lasts."""
    options = f"size={SMALL},mode=777"
    with _mounted(stack, lambda name: _run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(_folder(stack, name)))):
        yield


@contextmanager
def failing(stack: EmbeddedStack) -> Iterator[None]:
    """Disks that `fail` while the context lasts."""
    for name in SERVERS:
        _format(_image(stack, name), LARGE)
    with _mounted(stack, lambda name: _mount(_image(stack, name), _folder(stack, name))):
        for name in SERVERS:
            stack.part(name).folder.chmod(0o777)
        yield


def fail(folder: Path, written: int = FLUSHED) -> None:
    """Let every read and write of a mounted disk fail."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.ioctl(handle, SHUTDOWN, struct.pack("I", written))
    finally:
        os.close(handle)


def mend(stack: EmbeddedStack, name: str) -> None:
    """Mount a failed disk again, which nobody uses any more."""
    command = ["umount", str(_folder(stack, name))]
    wait_until(lambda: subprocess.run(command, check=False, capture_output=True).returncode == 0, "unmounted")
    _mount(_image(stack, name), _folder(stack, name))


@cache
def obstacle() -> str | None:
    """Return why no disk can be made to fail on this machine; None where one can."""
    with tempfile.TemporaryDirectory() as folder:
        image, mount = Path(folder) / "disk", Path(folder) / "mount"
        mount.mkdir()
        try:
            _format(image, 8 << 20)
            _mount(image, mount)
            try:
                fail(mount)
            finally:
                _run("umount", str(mount))
        except subprocess.CalledProcessError as error:
            return error.stderr.decode().strip().splitlines()[0]
        except OSError as error:
            return str(error)
    return None


def _mount(image: Path, folder: Path) -> None:
    """On a loop device of its own: a namespace that was made meanwhile may hold the failed file system of the last one,
    and `mount -o loop` would find that again.
    """
    done = subprocess.run(["losetup", "--find", "--show", str(image)], check=True, capture_output=True)
    device = done.stdout.decode().strip()
    try:
        _run("mount", device, str(folder))
    finally:
        _run("losetup", "--detach", device)  # as soon as nobody has it mounted


def _folder(stack: EmbeddedStack, name: str) -> Path:
    return stack.part(name).folder


def _image(stack: EmbeddedStack, name: str) -> Path:
    return stack.folder / f"{name}.img"


def _format(image: Path, size: int) -> None:
    with image.open("wb") as file:
        file.truncate(size)
    _run("mkfs.ext4", "-q", "-F", str(image))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@contextmanager
def _mounted(stack: EmbeddedStack, mount: Callable[[str], None]) -> Iterator[None]:
    mounted = []
    try:
        for name in SERVERS:
            mount(name)
            mounted.append(name)
        yield
    finally:
        for name in mounted:
            _run("umount", str(stack.part(name).folder))
