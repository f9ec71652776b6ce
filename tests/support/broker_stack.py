"""The whole pipeline with a broker of choice. Apart from `stack`, since Mosquitto's settings come from deploy/docker,
which not every command has on its path.
"""

from pathlib import Path

from support.embedded import Server
from support.faults import kill_hard
from support.mosquitto import Mosquitto
from support.stack import EmbeddedStack


class BrokerStack(EmbeddedStack):
    """The pipeline with Mosquitto as its part `broker`, or with NATS' own listener if `broker` is `nats`."""

    def __init__(self, folder: Path, broker: str, **options) -> None:
        self.broker = None
        if broker == "mosquitto":
            (folder / "broker").mkdir(parents=True)
            self.broker = Mosquitto(folder / "broker")
            options["MQTT_BROKER"] = self.broker.mqtt_url
        elif broker != "nats":
            raise ValueError(f"BROKER={broker}: mosquitto or nats")
        super().__init__(folder, **options)
        self.mqtt_url = self.environment["MQTT_BROKER"]

    def part(self, part: str) -> Server:
        return self.broker if part == "broker" else super().part(part)

    def kill(self, part: str) -> None:
        """SIGKILL to a part and all that it started."""
        kill_hard(self.part(part))

    def start(self) -> None:
        if self.broker:
            self.broker.start()
        super().start()

    def stop(self) -> None:
        super().stop()
        if self.broker:
            self.broker.stop()
