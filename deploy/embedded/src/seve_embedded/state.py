"""The stack's folder `.seve`, which only its owner can read: its paths and files. Decides nothing."""

import os
import secrets
import tempfile
from hashlib import blake2b
from pathlib import Path
from typing import Final

from seve_embedded.durable import sync

SOCKET_PATH_MAX: Final = 90
"""The kernel's limit is 107 bytes (macOS: 103); the supervisor appends its pid while it makes the socket."""

WELL_KNOWN_CLIENT_ID: Final = "seve-ingest"
"""The default of MQTT_CLIENT_ID. A client that connects under this name takes over, or erases, the session with all
messages that wait for ingest.
"""

KNOWN_SESSION: Final = (
    f"MQTT_CLIENT_ID = {WELL_KNOWN_CLIENT_ID!r} is known to everybody: any device can take ingest's session, "
    "with all that waits in it. docs/operations.md says how to change it"
)

FRESH_SUFFIX: Final = ".new"
"""The suffix of a file while it is written, before it replaces the old one."""


class State:
    """The state folder of one stack: `data/` is kept, `logs/` is rotated, `run/` belongs to the running stack."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder).absolute()
        self.run = self.folder / "run"
        self.logs = self.folder / "logs"
        self.data = self.folder / "data"
        self.secrets = self.folder / "secrets"
        self.nats_data = self.data / "nats"
        self.postgres_data = self.data / "postgres"
        self.nats_config = self.run / "nats.conf"
        self.nats_base = self.run / "nats-base.conf"
        """The configuration that the server was started with, without identities of devices."""
        self.supervisor_config = self.run / "supervisord.conf"
        self.plan = self.run / "plan.json"
        self.pids = self.run / "pids"

    @property
    def parts(self) -> tuple[Path, ...]:
        """The stack's own files in the folder, which others use, too."""
        return self.run, self.logs, self.data, self.secrets

    @property
    def socket(self) -> Path:
        """The supervisor's socket: in the state folder or, if its path is too long for a socket, in a private
        folder.
        """
        inside = self.run / "supervisor.sock"
        if len(os.fsencode(inside)) <= SOCKET_PATH_MAX:
            return inside
        digest = blake2b(os.fsencode(self.folder), digest_size=8).hexdigest()
        return Path(tempfile.gettempdir()) / f"seve-{os.getuid()}-{digest}" / "supervisor.sock"

    def remove_socket(self) -> None:
        """Remove the socket and its folder outside of the state folder."""
        self.socket.unlink(missing_ok=True)
        if self.socket.parent != self.run and self.socket.parent.exists():
            self.socket.parent.rmdir()

    def make(self) -> None:
        """Create the folders, readable by their owner only. Raises PermissionError if another user owns one."""
        for folder in (self.folder, *self.parts, self.pids, self.socket.parent):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if folder.stat().st_uid != os.geteuid():
                raise PermissionError(f"{folder} belongs to another user")

    def log(self, program: str) -> Path:
        """Return the log file of a program."""
        return self.logs / f"{program}.log"

    def secret(self, name: str) -> str:
        """Return a password of the stack's own, made on first use."""
        path = self.secrets / name
        if not path.exists():
            write_private(path, secrets.token_urlsafe(24), synced=True)
        return path.read_text(encoding="utf-8")

    @property
    def mqtt_client_id(self) -> str:
        """Return the name of ingest's session, made on first use so that no device can guess it.

        An installation whose broker has a session under the well-known name keeps that name: under another one ingest
        would not get what waits in the session.
        """
        path = self.secrets / "mqtt_client_id"
        if not path.exists():
            if self.nats_data.exists():
                return WELL_KNOWN_CLIENT_ID
            write_private(path, f"{WELL_KNOWN_CLIENT_ID}-{secrets.token_hex(8)}", synced=True)
        return path.read_text(encoding="utf-8")


def write_private(path: Path, text: str, *, synced: bool = False) -> None:
    """Write a file atomically that only its owner can read. With `synced`, wait until it is on the disk: for files that
    no start creates again.
    """
    fresh = path.with_name(f"{path.name}{FRESH_SUFFIX}")
    fresh.unlink(missing_ok=True)
    fresh.touch(0o600)
    fresh.write_text(text, encoding="utf-8")
    if synced:
        sync(fresh)
    fresh.replace(path)
    if synced:
        sync(path.parent)
