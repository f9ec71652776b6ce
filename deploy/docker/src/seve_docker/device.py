"""`device` in containers: Mosquitto reloads its users and rights. Other devices stay connected."""

import time
from pathlib import Path
from typing import Final

from seve_embedded.shared.device_command import broker_address
from seve_embedded.shared.identities import DeviceError, Rules
from seve_embedded.shared.links import links

from seve_docker import prepare
from seve_docker.compose import Compose
from seve_docker.mosquitto_acl import PIPELINE
from seve_docker.up import networks

RELOAD: Final = (
    "umask 077 && cp /run/secrets/mqtt_passwords /run/secrets/mqtt_acl /tmp && kill -HUP $(cat /tmp/mosquitto.pid)"
)
INGEST_SECONDS: Final = 30.0


class MosquittoBroker:
    """Mosquitto of one stack, as the broker of `device`; `prepare` has checked its settings."""

    def __init__(self, compose: Compose) -> None:
        environ = compose.environ
        self._compose = compose
        self.folder = prepare.secrets_folder(compose.root, environ)
        self.rules = Rules.of(environ, compose.root)
        self.taken = frozenset({PIPELINE, environ.get("MQTT_USERNAME", "")})
        ca = links(environ, compose.root).mqtt_ca
        self.address = broker_address(environ["MQTT_LISTEN"], networks(), str(ca) if ca else None)
        self.own = environ.get("MQTT_DEVICES") == prepare.OWN

    def digest(self, password: str) -> str:
        """Return the PBKDF2 digest."""
        return prepare.mosquitto_digest(password)

    def write(self, file: Path, text: str) -> None:
        """Write a file that only its owner can read: no container needs it."""
        fresh = file.with_name(f"{file.name}.new")
        fresh.unlink(missing_ok=True)
        fresh.touch(0o600)
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(file)

    def apply(self) -> bool:
        """Have Mosquitto reload the stored identities; return False if it does not run. Raises DeviceError."""
        prepare.prepare(self._compose.root, self._compose.environ)
        if not any(one.service == "mosquitto" and one.state == "running" for one in self._compose.states()):
            return False
        self._wait_for_ingest()
        done = self._compose.ask("exec", "-T", "mosquitto", "sh", "-c", RELOAD)
        if done.returncode:
            raise DeviceError(f"Mosquitto did not read its users again: {done.stderr.strip()}")
        return True

    def _wait_for_ingest(self) -> None:
        """Wait until ingest is connected. A restarted Mosquitto knows no password of an absent session: if it reloaded
        its users now, it would revoke the session's rights and drop messages for it.
        """
        deadline = time.monotonic() + INGEST_SECONDS
        while not all(one.settled for one in self._compose.states() if one.service.startswith("ingest")):
            if time.monotonic() > deadline:
                raise DeviceError(
                    "ingest is not connected, and what waits for it would be lost: ./seve status says why"
                )
            time.sleep(1)
