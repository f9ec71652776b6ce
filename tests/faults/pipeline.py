"""The pipelines that the crash matrix does things to: one for each kind of fault, each in surroundings of its own."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from random import Random
from typing import ClassVar, Final, NamedTuple

from faults import disks
from faults.containers import FILES, ContainerPipeline
from support import faults
from support.broker_stack import BrokerStack
from support.link import SELF, Network, network
from support.stack import LOGINS

PAIRS: Final = {
    "devices-broker": None,
    "ingest-broker": "ingest",
    "ingest-nats": "ingest",
    "writer-nats": "writer",
    "writer-postgres": "writer",
    "broadcaster-nats": "broadcaster",
    "screen-broadcaster": None,
}
"""Whoever connects, and to whom: each pair has a way of its own. Of the writers the first one is cut off."""

SMALL_STREAMS: Final = {
    "JOURNAL_MAX_BYTES": "32MiB",
    "HISTORY_MAX_BYTES": "32MiB",
    "LATEST_MAX_BYTES": "8MiB",
    "DEADLETTER_MAX_BYTES": "8MiB",
}
"""80 MiB in all: for disks of the matrix's own."""

CLOCKED: Final = ("ingest", "broadcaster", "writer", "postgres")
FAKETIME: Final = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


class Kind(NamedTuple):
    """Settings over the quick ones, whether it takes namespaces, and the disks of its servers. `synced` is as in
    containers: Mosquitto is the broker, and NATS, which has the journal alone, calls fsync before each acknowledgement.
    """

    settings: dict[str, str]
    isolation: bool = False
    disks: Callable[["Pipeline"], AbstractContextManager[None]] | None = None
    synced: bool = False


KINDS: Final = {
    "plain": Kind({}),
    "forgetful": Kind({"HISTORY_MAX_BYTES": "64KiB"}),
    "wired": Kind({"HISTORY_MAX_BYTES": "64KiB"}),
    "damaged": Kind({"JOURNAL_MAX_BYTES": "1MiB", "HISTORY_MAX_BYTES": "64KiB"}),
    "small": Kind(SMALL_STREAMS, isolation=True, disks=disks.small),
    "failing": Kind(SMALL_STREAMS, isolation=True, disks=disks.failing),
    "synced": Kind(SMALL_STREAMS, isolation=True, disks=disks.failing, synced=True),
    "linked": Kind({}, isolation=True),
    "clocked": Kind({}),
    **dict.fromkeys(FILES, Kind({})),
}


class Pipeline(BrokerStack):
    """The stack, with a broker, and with wires between where they are given."""

    slack: ClassVar = 0.0
    """Seconds that a fault takes to come."""

    def __init__(self, folder: Path, broker: str, wires: list[faults.Wire], **environment: str) -> None:
        self.wires = wires
        if wires:
            environment["DATABASE_URL"] = f"postgresql://postgres@127.0.0.1:{wires[1].proxy.port}/seve"
        super().__init__(folder, broker, writers=2, fsync="on", **environment)
        for wire, server in zip(wires, (self.nats, self.postgres), strict=False):
            wire.proxy.target = server.port
        self.nats.options["health_password"] = LOGINS.health
        self.before_harm: list = []
        """What the journal held before its file was harmed, and of that"""
        self.vanished: list = []
        """what NATS has no more."""

    @property
    def health(self) -> dict[str, str]:
        """The variables of NATS' user `health`."""
        return LOGINS.health_environment(f"127.0.0.1:{self.nats.port}")

    def login(self, part: str) -> dict[str, str]:
        found = super().login(part)
        if self.wires and part != "setup":
            found["NATS_URL"] = f"nats://127.0.0.1:{self.wires[0].proxy.port}"
        return found

    def give(self, part: str, **environment: str) -> None:
        """Change the environment of a service before its start."""
        self._processes[part].environment.update(environment)

    def victim(self, part: str, dice: Random) -> str:
        """Who suffers for a part: of the writers one, by chance."""
        return dice.choice(["writer", "writer-2"]) if part == "writer" else part

    def frozen(self, part: str) -> AbstractContextManager[None]:
        """While the context lasts a part does nothing, and its connections stay."""
        return faults.frozen(self.part(part))

    def processes(self, part: str) -> list[str]:
        """The part itself; of `everything` all, those that hand on before those that they hand to."""
        return [*self.services, "postgres", "nats"] if part == "everything" else [part]


class LinkedPipeline(Pipeline):
    """Every pair talks over an address of its own; `net` decides what becomes of its packets."""

    def __init__(self, folder: Path, broker: str, net: Network, **environment: str) -> None:
        self.net = net
        self.addresses = {pair: net.address() for pair in PAIRS}
        super().__init__(folder, broker, [], **environment)
        self.nats.options.update(host="0.0.0.0", mqtt_host="0.0.0.0")
        self.postgres.options["listen_addresses"] = "*"
        trusted = f"host all all {SELF.rpartition('.')[0]}.0/24 trust"
        self.postgres.rules = ["host all all 127.0.0.1/32 trust", trusted]
        at = self.addresses
        mqtt = self.broker.port if self.broker else self.nats.mqtt_port
        nats, database = self.nats.port, f"postgresql://postgres@{at['writer-postgres']}:{self.postgres.port}/seve"
        self.give(
            "ingest", NATS_URL=f"nats://{at['ingest-nats']}:{nats}", MQTT_BROKER=f"mqtt://{at['ingest-broker']}:{mqtt}"
        )
        self.give("writer", NATS_URL=f"nats://{at['writer-nats']}:{nats}", DATABASE_URL=database)
        opened = {"WS_LISTEN": f"0.0.0.0:{self._ws_port}", "WS_ALLOW_UNAUTHENTICATED": "true"}
        self.give(
            "broadcaster",
            NATS_URL=f"nats://{at['broadcaster-nats']}:{nats}",
            **opened,
            WS_ALLOW_UNENCRYPTED="true",
        )
        self.mqtt_url = f"mqtt://{at['devices-broker']}:{mqtt}"
        self.ws_url = f"ws://{at['screen-broadcaster']}:{self._ws_port}/ws"


class ClockedPipeline(Pipeline):
    """Each part has a clock that `clocks` moves: a file that says by how much."""

    def __init__(self, folder: Path, broker: str, **environment: str) -> None:
        super().__init__(folder, broker, [], **environment)
        self.clocks = {part: folder / f"clock-{part}" for part in CLOCKED}
        for part, file in self.clocks.items():
            file.write_text("+0")
            file.chmod(0o644)
            variables = {
                "LD_PRELOAD": str(FAKETIME),
                "FAKETIME_TIMESTAMP_FILE": str(file),
                "FAKETIME_CACHE_DURATION": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
            if part == "postgres":
                self.postgres.variables = variables
            else:
                self.give(part, **variables)


@contextmanager
def pipeline(kind: str, folder: Path, broker: str, rate: float, seed: int) -> Iterator[Pipeline | ContainerPipeline]:
    """A pipeline of a kind, started, and stopped when the context ends."""
    wanted = KINDS[kind]
    settings = dict(wanted.settings)
    if kind == "linked":
        with network(seed) as net:
            yield from _started(LinkedPipeline(folder, broker, net, **settings))
    elif kind == "wired":
        settings["JOURNAL_MAX_BYTES"] = f"{round(rate)}KiB"
        with faults.wires(2) as laid:
            yield from _started(Pipeline(folder, broker, laid, **settings))
    elif kind in FILES:
        yield from _started(ContainerPipeline(folder, kind))
    elif kind == "clocked":
        yield from _started(ClockedPipeline(folder, broker, **settings))
    else:
        stack = Pipeline(folder, "mosquitto" if wanted.synced else broker, [], **settings)
        if wanted.synced:
            stack.nats.options["sync_interval"] = "always"
        with wanted.disks(stack) if wanted.disks else nullcontext():
            yield from _started(stack)


def _started(stack: Pipeline | ContainerPipeline) -> Iterator[Pipeline | ContainerPipeline]:
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
