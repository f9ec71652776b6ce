"""The pipelines in containers that the crash matrix does things to: `compose.yaml`, or the cluster, each started by
`./seve up` as a project of its own.

A further file publishes NATS and the database on loopback, so that the account may be drawn from outside. What is
killed or frozen is a container; parts are named as without containers.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import ClassVar, Final

from support.cluster import SERVERS, leader, whole
from support.compose import ROOT, Compose
from support.conditions import free_port, wait_until
from support.stack import QUICK, Stack

SERVICES: Final = ("ingest", "broadcaster", "history", "writer")
FILES: Final = {"docker": ("compose.yaml",), "cluster": ("compose.yaml", "compose.cluster.yaml")}
ADMIN_PORT: Final = 9000
PUBLISHED: Final = """
services:
{services}
networks:
  data: {{ internal: false }}
"""


class ContainerPipeline(Stack):
    """The stack in containers with two writers; `mode` is docker or cluster."""

    slack: ClassVar = 3.0
    """Seconds that the engine may take for what it is told, on a busy machine."""

    def __init__(self, folder: Path, mode: str) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        servers = SERVERS if mode == "cluster" else ("nats",)
        ports = {**{server: (free_port(), 4222) for server in servers}, "postgres": (free_port(), 5432)}
        lines = [f'  {name}: {{ ports: ["127.0.0.1:{out}:{inside}"] }}' for name, (out, inside) in ports.items()]
        published = folder / "published.yaml"
        published.write_text(PUBLISHED.format(services="\n".join(lines)))
        files = ":".join([*(str(ROOT / name) for name in FILES[mode]), str(published)])
        self.compose = Compose(folder, **{**QUICK, "COMPOSE_FILE": files, "WRITERS": "2"})
        self.clustered = mode == "cluster"
        self.mqtt_url = f"mqtt://127.0.0.1:{self.compose.mqtt_port}"
        self.ws_url = f"ws://127.0.0.1:{self.compose.ws_port}/ws"
        self._ports = {name: out for name, (out, _) in ports.items()}
        self._names: dict[str, str] = {}
        self.before_harm: list = []
        self.vanished: list = []

    @property
    def nats_url(self) -> str:
        server = SERVERS[0] if self.clustered else "nats"
        return f"nats://operator:{self._secret('nats_operator')}@127.0.0.1:{self._ports[server]}"

    @property
    def database_url(self) -> str:
        return f"postgresql://postgres:{self._secret('postgres_owner')}@127.0.0.1:{self._ports['postgres']}/seve"

    @property
    def services(self) -> list[str]:
        return [part for part in self._names if part.partition("-")[0] in SERVICES]

    def start(self) -> None:
        self.compose.run("up", seconds=600)
        for name, service in sorted(self.compose.containers().items()):
            number = name.rpartition("-")[2]
            self._names[service if number == "1" else f"{service}-{number}"] = name
        self._names["broker"] = self._names.pop("mosquitto")
        self.wait_ready()

    def stop(self) -> None:
        self.compose.remove()

    def wait_ready(self, seconds: float = 60) -> None:
        """Until every service is ready, and every stream of a cluster has its copies."""
        super().wait_ready(seconds)
        if self.clustered:
            wait_until(lambda: whole(self.compose), "three current copies of each stream", 120)

    def victim(self, part: str, dice: Random) -> str:
        """The container that a part stands for now; a writer or a follower by chance."""
        if part == "writer":
            return dice.choice(["writer", "writer-2"])
        if part in ("leader", "follower"):
            first = leader(self.compose)
            return first if part == "leader" else dice.choice([name for name in SERVERS if name != first])
        return part

    def processes(self, part: str) -> list[str]:
        """The part itself: all of its processes are one container."""
        return [part]

    def kill(self, part: str) -> None:
        self.compose.docker("kill", self._names[part])

    def terminate(self, part: str) -> int:
        self.compose.docker("stop", "--time", "30", self._names[part])
        return int(self._inspect(part)["State"]["ExitCode"])

    def launch(self, part: str) -> None:
        self.compose.docker("start", self._names[part])

    @contextmanager
    def frozen(self, part: str) -> Iterator[None]:
        """A container does nothing while the context lasts, and its connections stay."""
        wait_until(lambda: self._paused(part), "the container frozen")
        try:
            yield
        finally:
            self.compose.docker("unpause", self._names[part])

    def _paused(self, part: str) -> bool:
        """The engine gives up where a process of the container is just being started, as for its health check."""
        with suppress(AssertionError):
            self.compose.docker("pause", self._names[part])
        return self._inspect(part)["State"]["Paused"]

    @contextmanager
    def cut_off(self, part: str) -> Iterator[None]:
        """No packet passes between a container of one network and anybody while the context lasts."""
        network = f"{self.compose.project}_data"
        self.compose.docker("network", "disconnect", network, self._names[part])
        try:
            yield
        finally:
            self.compose.docker("network", "connect", "--alias", part, network, self._names[part])

    def admin_url(self, part: str) -> str:
        networks = self._inspect(part)["NetworkSettings"]["Networks"]
        return f"http://{networks[f'{self.compose.project}_data']['IPAddress']}:{ADMIN_PORT}"

    def pid(self, part: str) -> int:
        return int(self._inspect(part)["State"]["Pid"])

    def gone(self, part: str) -> bool:
        """Whether a container ended that should run, also one that Docker has started again."""
        found = self._inspect(part)
        return not found["State"]["Running"] or found["RestartCount"] > 0

    def tail(self, part: str) -> str:
        return self.compose.docker("logs", "--tail", "60", self._names[part])

    def _inspect(self, part: str) -> dict:
        return json.loads(self.compose.docker("inspect", self._names[part]))[0]

    def _secret(self, name: str) -> str:
        return (self.compose.secrets / name).read_text()
