"""Real servers as child processes of the test run, on free ports, which tests can stop, kill and start again."""

import atexit
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import ClassVar

import psycopg
from seve_embedded.servers import nats, postgres
from seve_embedded.servers.unprivileged import own_folder
from seve_embedded.shared import nats_memory

from support.conditions import accepts, free_port, wait_until


class Server:
    """A child process that listens on `port`. `kill()` is SIGKILL; `start()` then starts it with the same data."""

    variables: ClassVar[dict[str, str]] = {}
    """Further variables of its environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def ready(self) -> bool:
        return accepts(self.port)

    def start(self) -> None:
        with (self.folder / "server.log").open("ab") as log:
            environment = {**os.environ, **self.variables}
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, env=environment)
        wait_until(self._ready_or_dead, f"{type(self).__name__} ready")
        assert self.process.poll() is None, (self.folder / "server.log").read_text()[-2000:]

    def _ready_or_dead(self) -> bool:
        return self.process.poll() is not None or self.ready()

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)


class NatsServer(Server):
    """nats-server with JetStream and an MQTT listener."""

    variables = nats_memory.environment(nats_memory.DEFAULT)

    def __init__(self, folder: Path, **options) -> None:
        super().__init__(folder)
        self.mqtt_port = free_port()
        self.options = options

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def mqtt_url(self) -> str:
        return f"mqtt://127.0.0.1:{self.mqtt_port}"

    def command(self) -> list[str]:
        path = self.folder / "nats.conf"
        text = nats.config(self.folder / "jetstream", port=self.port, mqtt_port=self.mqtt_port, **self.options)
        path.write_text(text)
        return [str(nats.binary()), "--config", str(path)]

    def ready(self) -> bool:
        return accepts(self.port) and accepts(self.mqtt_port)


class PostgresServer(Server):
    """PostgreSQL with an empty database `seve`; `stop()` is its fast shutdown, `kill()` its immediate one.

    Runs without `fsync` by default, since tests take no power away. `options` are settings of the server.
    """

    def __init__(self, folder: Path, *, fsync: str = "off", **options: str) -> None:
        super().__init__(folder)
        self.options = {"fsync": fsync, **options}
        self.rules: list[str] = []
        """Lines of pg_hba.conf; if there are none, those of initdb apply."""

    def command(self) -> list[str]:
        self._initialise()
        if self.rules:
            (self.folder / "data/pg_hba.conf").write_text("\n".join(self.rules) + "\n")
        return postgres.command(self.folder / "data", self.port, **self.options)

    def _initialise(self) -> None:
        data = self.folder / "data"
        if self.options["fsync"] == "on":
            postgres.initialise(data)
        elif not data.exists():
            with own_folder(data) as fresh:
                subprocess.run(["cp", "-a", f"{initialised()}/.", str(fresh)], check=True)

    @property
    def url(self) -> str:
        return postgres.url(self.port)

    def ready(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self._pg_ctl("fast")

    def kill(self) -> None:
        self._pg_ctl("immediate")

    def _pg_ctl(self, mode: str) -> None:
        program = [*postgres.unprivileged(), str(postgres.binaries() / "pg_ctl")]
        subprocess.run([*program, "-D", str(self.folder / "data"), "-m", mode, "stop"], check=True, capture_output=True)
        self.process.wait(30)


@cache
def initialised() -> Path:
    """A data folder as initdb makes it, once for each process: a copy takes a tenth of initdb's time."""
    folder = Path(tempfile.mkdtemp(prefix="seve-initialised-"))
    data = folder / "data"
    postgres.initialise(data, synced=False)
    for made in (data.resolve(), folder):
        atexit.register(shutil.rmtree, made, ignore_errors=True)
    return data
