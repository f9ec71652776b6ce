"""`check` for the containers: finds what would keep them from starting, without starting any. Standard library only.

Does not check the services' own settings and route files: `up` has the services check those in their containers.
"""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from seve_embedded.checks import certificates, clock, disk, permissions
from seve_embedded.checks.finding import Finding
from seve_embedded.shared import known_settings
from seve_embedded.shared.links import links, made_files
from seve_embedded.supervision import ports
from seve_runtime.errors import SettingsError
from seve_runtime.units import split_listen

from seve_docker import images, prepare, room
from seve_docker.compose import Compose, engine_answers

EDIT: Final = "correct it in .env"
SYNC_DEFAULT: Final = "always"
PUBLISHED: Final = (("MQTT_LISTEN", "127.0.0.1:1883"), ("WS_LISTEN", "127.0.0.1:8080"))


def gather(compose: Compose, written: Mapping[str, str]) -> tuple[list[Finding], list[str]]:
    """Return all findings, and what was checked; `written` are the variables of `.env`."""
    known = known_settings.known()
    faults = [*known_settings.faults(written, known), *prepare.faults(compose.root, compose.environ)]
    found = [Finding("settings", fault, EDIT) for fault in faults]
    settings = {name: value for name, value in compose.environ.items() if name in known}
    found += certificates.check(settings, compose.root, time.time())
    if not faults:
        found += certificates.check(made_files(links(compose.environ, compose.root)), compose.root, time.time())
    found += permissions.check(compose.root, written)
    found += clock.check(time.time(), (), synchronised=clock.synchronised())
    facts = ["settings", "ports", f"versions (Python {sys.version.split()[0]})", "clock", "permissions", "certificates"]
    if not engine_answers():
        return [*found, Finding("versions", "no Docker engine with Compose answers", "systemctl start docker")], facts
    if (name := images.missing(compose)) and not images.standins():
        found.append(Finding("versions", f"the image {name} can be neither found nor pulled", f"docker pull {name}"))
    if not faults and not compose.running:
        found += _ports(compose.environ)
    more, measured = _disk(compose)
    return [*found, *more], [*facts, measured]


def _ports(environ: Mapping[str, str]) -> list[Finding]:
    listeners = [(name, *split_listen(environ.get(name) or default)) for name, default in PUBLISHED]
    try:
        ports.check(listeners)
    except SettingsError as error:
        return [Finding("ports", what, mend or EDIT) for what, _, mend in (one.partition("; ") for one in error.faults)]
    return []


def _disk(compose: Compose) -> tuple[list[Finding], str]:
    """Check the disks of NATS' volumes. How fast one syncs is measured where this machine and user may write to it."""
    try:
        disks = room.disks(compose)
    except ValueError as error:
        return [Finding("settings", str(error), EDIT)], "no disk"
    if not disks:
        return [], "no disk (it is measured once `./seve up` has built the images)"
    folder = Path(compose.root_folder())
    sync = disk.measure(folder).sync if folder.is_dir() else None
    interval = compose.environ.get("NATS_SYNC_INTERVAL") or SYNC_DEFAULT
    found: list[Finding] = []
    for one in disks:
        measured = disk.Disk(one.room.free, sync)
        found += disk.check(measured, where=one.where, growth=one.growth, sync_interval=interval)
    least = min(one.room.free for one in disks)
    return list(dict.fromkeys(found)), disk.described(disk.Disk(least, sync))
