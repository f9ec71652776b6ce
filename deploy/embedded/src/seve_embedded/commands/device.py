"""`device`: identities at the embedded broker. NATS reloads its configuration; other devices stay connected."""

import signal
import subprocess
import time
from pathlib import Path
from typing import Final

import bcrypt

from seve_embedded.logins import RESERVED, SHARED
from seve_embedded.servers import nats
from seve_embedded.shared.device_command import broker_address
from seve_embedded.shared.identities import DeviceError, Rules
from seve_embedded.stack import Stack
from seve_embedded.state import write_private
from seve_embedded.supervision import processes

RELOAD_SECONDS: Final = 60.0
"""Seconds that a reload may take: NATS verifies the password of every connected device again, a millisecond each."""

DIGEST_ROUNDS: Final = 4
"""bcrypt's least: a password of 128 random bits needs no slow digest, and thousands of devices may connect at once."""

RELOADED, REFUSED = "Reloaded server configuration", "Failed to reload server configuration"


class EmbeddedBroker:
    """NATS of one stack, as the broker of `device`."""

    def __init__(self, stack: Stack, networks: list[str]) -> None:
        self._stack = stack
        self.folder = stack.state.secrets
        self.rules = Rules.of(stack.environ, stack.state.folder.parent)
        self.taken = frozenset({*RESERVED, SHARED, stack.settings.mqtt_username or SHARED})
        self.address = broker_address(
            stack.settings.mqtt_listen, networks, stack.current.addresses.tls.get("MQTT_CA_FILE")
        )
        self.own = stack.settings.mqtt_devices == "own"

    def digest(self, password: str) -> str:
        """Return the bcrypt digest."""
        return digest(password)

    def write(self, file: Path, text: str) -> None:
        """Write a file that only its owner can read."""
        write_private(file, text, synced=True)

    def apply(self) -> bool:
        """Have NATS reload the stored identities; return False if it does not run. Raises DeviceError."""
        server = next((one for one in self._stack.running if one.name == "nats"), None)
        if server is None:
            return False
        state = self._stack.state
        if not state.nats_base.exists():
            raise DeviceError("an earlier version started this stack: `make down up`, then say it again")
        text = self._stack.nats_config()
        _check(text, state.run / "nats-check.conf")
        write_private(state.nats_config, text)
        log = state.log("nats")
        read = log.stat().st_size
        processes.send(server, signal.SIGHUP)
        wait_reloaded(log, read)
        return True


def _check(text: str, file: Path) -> None:
    """Have NATS check a configuration before it replaces the one in use. Raises DeviceError."""
    write_private(file, text)
    judged = subprocess.run([nats.binary(), "-t", "-c", file], check=False, capture_output=True, text=True)
    file.unlink()
    if judged.returncode:
        raise DeviceError(f"NATS refuses its configuration: {judged.stderr.strip() or judged.stdout.strip()}")


def digest(password: str) -> str:
    """Return the digest that NATS compares a password with."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(DIGEST_ROUNDS)).decode()


def wait_reloaded(log: Path, read: int) -> None:
    """Wait until NATS logs the outcome of a reload, after the first `read` bytes of its log. Raises DeviceError."""
    deadline = time.monotonic() + RELOAD_SECONDS
    while time.monotonic() < deadline:
        with log.open("rb") as file:
            file.seek(read if read <= log.stat().st_size else 0)  # a rotated log is read from its beginning
            said = file.read().decode(errors="replace")
        if REFUSED in said:
            raise DeviceError(f"NATS refuses its configuration:\n{said[said.index(REFUSED) :].splitlines()[0]}")
        if RELOADED in said:
            return
        time.sleep(0.02)
    raise DeviceError(f"NATS did not read its configuration within {RELOAD_SECONDS:g} s: ./seve logs nats")
