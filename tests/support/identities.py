"""A broker whose devices have identities, and `./seve device` for it, run within the test."""

import json
import shutil
import signal
from pathlib import Path

from seve_docker import prepare
from seve_embedded.cli.arguments import parse
from seve_embedded.commands import device
from seve_embedded.servers import nats
from seve_embedded.settings import StackSettings
from seve_embedded.shared import device_command, identities
from seve_embedded.shared.identities import Rules
from seve_embedded.state import write_private
from seve_runtime.settings import load

from support.embedded import NatsServer
from support.mosquitto import DeployedMosquitto

PLACE = device_command.BrokerAddress("127.0.0.1", 1883)


class Nats(NatsServer):
    """The embedded broker, as `up` configures it with these settings."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.pipeline = ("pipeline", "secret")
        chosen = load(StackSettings, settings)
        anonymous = chosen.mqtt_devices == "shared"
        super().__init__(
            folder, ingest_password="secret", operator_password="o", device=chosen.login, anonymous=anonymous
        )
        self.settings = settings
        self.secrets = folder / "secrets"

    def command(self) -> list[str]:
        command = super().command()
        shutil.copy(self.folder / "nats.conf", self.folder / "base.conf")
        self._take_files()
        return command

    def _take_files(self) -> None:
        known = identities.load(self.secrets)
        rights = identities.rights(known, self.settings, self.folder)
        devices = [(module, one.digest, rights[module]) for module, one in known.items()]
        text = nats.with_identities((self.folder / "base.conf").read_text(), devices)
        (self.folder / "nats.conf").write_text(text)

    def reload(self) -> None:
        log = self.folder / "server.log"
        before = log.stat().st_size
        self._take_files()
        self.process.send_signal(signal.SIGHUP)
        device.wait_reloaded(log, before)

    def digest(self, password: str) -> str:
        return device.digest(password)


class Mosquitto(DeployedMosquitto):
    """The broker of the containers, as `up` configures it with these settings."""

    def digest(self, password: str) -> str:
        return prepare.mosquitto_digest(password)


class Devices:
    """Runs `./seve device` for one of these brokers, and is the `Broker` that the command gets."""

    def __init__(self, server: Nats | Mosquitto) -> None:
        self.server = server
        self.folder = server.secrets
        self.rules = Rules.of(server.settings, server.folder)
        self.taken = frozenset({"pipeline"})
        self.address = PLACE
        self.own = server.settings.get("MQTT_DEVICES") == "own"
        self.said: list[str] = []

    def digest(self, password: str) -> str:
        return self.server.digest(password)

    def write(self, file: Path, text: str) -> None:
        write_private(file, text)

    def apply(self) -> bool:
        if self.server.process is None or self.server.process.poll() is not None:
            return False
        self.server.reload()
        return True

    def run(self, *words: str) -> str:
        """Run `./seve device WORDS`; return its output. Raises DeviceError."""
        arguments = parse(["device", *words])
        self.said.clear()
        device_command.run(arguments, self, self.said.append)
        return "\n".join(self.said)

    def login(self, action: str, *words: str) -> tuple[str, str]:
        """Add or rotate an identity; return its user and password."""
        [made] = json.loads(self.run(action, *words, "--json"))
        return made["module"], made["password"]
