"""The pipeline that is measured: default settings, PostgreSQL with fsync, Mosquitto or NATS' listener as broker."""

from pathlib import Path

from support.broker_stack import BrokerStack
from support.faults import Wire

SERVICES = ("nats", "ingest", "writer", "broadcaster")
"""The parts whose CPU time is the pipeline's."""
FIRST_SAMPLE = 1_000_000
"""Above every value that simulated devices report of themselves."""
SETTINGS = {"WS_MAX_CLIENTS": "20000", "WS_MAX_CLIENTS_PER_ADDRESS": "20000"}
"""All that differs from the defaults: every client here has one address."""


class Pipeline(BrokerStack):
    """The stack with its broker. Samples of one pipeline are numbered through: no two have the same value. With a
    `wire`, the services reach PostgreSQL through it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        broker: str = "mosquitto",
        sync_interval: str = "",
        writers: int = 1,
        wire: Wire | None = None,
        **environment: str,
    ) -> None:
        environment = {**SETTINGS, **environment}
        if wire:
            environment["DATABASE_URL"] = f"postgresql://postgres@127.0.0.1:{wire.proxy.port}/seve"
        super().__init__(folder, broker, writers=writers, quick=False, fsync="on", **environment)
        self.postgres.options["track_commit_timestamp"] = "on"
        if sync_interval:
            self.nats.options["sync_interval"] = sync_interval
        if wire:
            wire.proxy.target = self.postgres.port
        self._next = FIRST_SAMPLE

    def number(self, count: int) -> int:
        """The first of `count` numbers for samples. Modules keep their names from run to run: new ones cost memory."""
        first, self._next = self._next, self._next + count
        return first

    @property
    def processes(self) -> dict[str, int]:
        """The process of each part that runs; further writers count as `writer-2` and so on."""
        parts = ["nats", *self.services, "postgres"]
        found = {part: self.pid(part) for part in parts if self.part(part).process and not self.gone(part)}
        return found | ({"mosquitto": self.broker.process.pid} if self.broker else {})
