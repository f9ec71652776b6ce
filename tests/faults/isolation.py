"""The right to namespaces: small disks and networks of the matrix's own, which nobody else on this machine sees."""

import os
import subprocess
import sys
from collections.abc import Iterable
from typing import Final, NoReturn

from faults import disks
from faults.containers import FILES
from faults.pipeline import FAKETIME, KINDS
from support import mosquitto
from support.containers import impossible

MARK: Final = "SEVE_FAULTS_ISOLATED"
NAMESPACES: Final = ("unshare", *(() if os.geteuid() == 0 else ("--map-root-user",)), "--mount", "--net")
TRIED: Final = "mount -t tmpfs -o size=1m tmpfs /mnt && ip tuntap add dev seve0 mode tun"


def isolated() -> bool:
    """Whether this process has namespaces of its own."""
    return MARK in os.environ


def enter() -> str:
    """Start this program anew in namespaces of its own; return only if that is not allowed, and then why."""
    try:
        tried = subprocess.run([*NAMESPACES, "sh", "-c", TRIED], check=False, capture_output=True, text=True)
    except OSError as error:
        return str(error)
    if tried.returncode:
        return tried.stderr.strip().splitlines()[-1] if tried.stderr.strip() else "no right to namespaces"
    return _again([*NAMESPACES, "sh", "-c", 'ip link set lo up && exec "$@"', "sh", sys.executable, *sys.argv])


def _again(command: list[str]) -> NoReturn:
    os.execvpe(command[0], command, {**os.environ, MARK: "yes"})


def obstacle(kind: str, part: str, denied: str | None) -> str | None:
    """Return why a cell cannot be done on this machine; None where it can. `denied` is what `enter` returned."""
    wanted = KINDS[kind]
    if kind in FILES:
        return impossible()
    if wanted.isolation and not isolated():
        return f"no namespaces: {denied}"
    if wanted.synced and not mosquitto.program():
        return "Mosquitto is not installed"
    if wanted.disks is disks.failing and (why := disks.obstacle()):
        return f"no disk that can fail: {why}"
    return _no_clock(part) if kind == "clocked" else None


def _no_clock(part: str) -> str | None:
    """Return why the clock of a part cannot be moved; None where it can."""
    if part == "nats":
        return "nats-server is linked statically: no library changes its clock"
    return None if FAKETIME else "libfaketime is not installed (Debian's package faketime)"


def needed(kinds: Iterable[str]) -> bool:
    """Whether any of these kinds takes namespaces."""
    return any(KINDS[kind].isolation for kind in kinds)
