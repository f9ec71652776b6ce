"""Measures the disks of NATS' volumes in containers, since the engine, or a volume, may be elsewhere. Standard library
only.

Starts no server and makes no volume: a container of the NATS image reads and is removed. A volume that is not there yet
is taken to be empty, on the disk of the engine's own folder.
"""

from typing import Final, NamedTuple

from seve_embedded.shared.disk import Room, remaining, reserved

from seve_docker.compose import Compose, output

_PROBE: Final = "df -Pk /data && du -sk /data 2>/dev/null || true"
_KIB: Final = 1024


class NatsDisk(NamedTuple):
    """A disk, the NATS servers whose volumes are on it, the bytes that these hold, and may hold in all."""

    servers: tuple[str, ...]
    room: Room
    held: int
    reserved: int

    @property
    def where(self) -> str:
        """The disk in words."""
        return f"the disk of {' and '.join(self.servers)} in Docker"

    @property
    def growth(self) -> int:
        """Bytes that the streams may still take."""
        return remaining(self.reserved, self.held)


def disks(compose: Compose) -> list[NatsDisk]:
    """Return the disks of all NATS servers of the project; none where the engine has no image of NATS yet, or does not
    say. Raises ValueError for a size that cannot be read.
    """
    each = reserved(compose.environ)
    found: dict[str, NatsDisk] = {}
    for server in compose.output("config", "--services").split():
        if server.partition("-")[0] == "nats" and (measured := _measured(compose, server)):
            device, room, held = measured
            there = found.get(device, NatsDisk((), room, 0, 0))
            found[device] = NatsDisk((*there.servers, server), room, there.held + held, there.reserved + each)
    return list(found.values())


def _measured(compose: Compose, server: str) -> tuple[str, Room, int] | None:
    """Return the device of a server's volume, its room, and the bytes in the volume."""
    project = compose.environ.get("SEVE_PROJECT") or "seve"
    image = f"seve/nats:{compose.environ.get('SEVE_TAG') or 'latest'}"
    volume = f"{project}_{server}"
    mount = [f"--volume={volume}:/data:ro"] if output("volume", "inspect", volume) else []
    probe = ("--rm", "--pull=never", "--network=none", *mount, "--entrypoint=sh", image, "-c", _PROBE)
    return parsed(output("run", *probe))


def parsed(said: str) -> tuple[str, Room, int] | None:
    """Return what `df -Pk` and `du -sk` say; None if they say nothing."""
    lines = [line.split() for line in said.splitlines()]
    if len(lines) < 2 or len(lines[1]) < 4:
        return None
    device, total, _, free = lines[1][:4]
    held = int(lines[2][0]) if len(lines) > 2 else 0
    return device, Room(int(free) * _KIB, int(total) * _KIB), held * _KIB
