"""The whole pipeline as child processes of the test run: NATS with its MQTT listener, PostgreSQL and the services.

`Stack` is the interface of a pipeline for tests; every machine can run `EmbeddedStack`. Parts are named `nats`,
`postgres`, `ingest`, `broadcaster`, `history`, `writer`, `writer-2`, ... A restarted part keeps its port.
"""

import asyncio
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path

import psycopg
from nats.aio.client import Client
from seve_embedded.logins import Logins

from support.conditions import free_port, wait_until
from support.embedded import NatsServer, PostgresServer, Server

LOGINS = Logins.of(lambda name: f"{name}-password", "seve-ingest-under-test")
"""The users that the stack has without Docker; the database trusts everybody here."""

QUICK = {
    "LOG_LEVEL": "info",
    "LOG_FORMAT": "json",
    "FLUSH_INTERVAL": "200ms",
    "ACK_WAIT": "5s",
    "JOURNAL_MAX_BYTES": "256MiB",
    "HISTORY_MAX_BYTES": "128MiB",
    "LATEST_MAX_BYTES": "32MiB",
    "DEADLETTER_MAX_BYTES": "32MiB",
    "RETENTION": "36500d",
}
"""Settings that make tests short and accept samples of any age; a test about one of them sets its own."""


class Stack(ABC):
    """A running pipeline. A part that was stopped or killed stays down until it is started again."""

    mqtt_url: str
    ws_url: str
    database_url: str
    nats_url: str

    @abstractmethod
    def start(self) -> None:
        """Start everything, and wait until it is ready."""

    @abstractmethod
    def stop(self) -> None:
        """Stop everything, in order; a part that is down already is no error."""

    @abstractmethod
    def kill(self, part: str) -> None:
        """SIGKILL, and wait until the part is gone."""

    @abstractmethod
    def terminate(self, part: str) -> int:
        """Stop a part as an operator would, wait for its end, and return its exit code."""

    @abstractmethod
    def launch(self, part: str) -> None:
        """Start a part that is down; does not wait until it is ready."""

    @abstractmethod
    def admin_url(self, part: str) -> str:
        """Return the URL of a service's health and metrics."""

    @abstractmethod
    def pid(self, part: str) -> int:
        """The process of a part, whose children are part of it."""

    @abstractmethod
    def gone(self, part: str) -> bool:
        """Return whether a part has ended that should run."""

    @property
    @abstractmethod
    def services(self) -> list[str]:
        """The names of the services: ingest, broadcaster, history, and each writer."""

    @abstractmethod
    def tail(self, part: str) -> str:
        """Return the end of a part's log, for a failed test."""

    def restart(self, part: str) -> None:
        """Stop a part as an operator would, start it again, and wait until it is ready."""
        self.terminate(part)
        self.launch(part)
        self.wait_ready()

    def ready(self, part: str) -> bool:
        """Return whether a service is ready."""
        try:
            with urllib.request.urlopen(f"{self.admin_url(part)}/health/ready", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.HTTPError, OSError) as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            return False

    def wait_ready(self, seconds: float = 60) -> None:
        """Wait until every service is ready; the error shows the log of one that is not."""
        for part in self.services:
            try:
                wait_until(lambda part=part: self.ready(part) or self.gone(part), f"{part} ready", seconds)
            except AssertionError as error:
                raise AssertionError(f"{error}\n{self.tail(part)}") from None
            assert not self.gone(part), f"{part} ended\n{self.tail(part)}"

    def metrics(self, part: str) -> dict[str, float]:
        """Return every sample of a service's metrics, by its name with labels as Prometheus writes it."""
        with urllib.request.urlopen(f"{self.admin_url(part)}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return {
            name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[:1] not in ("", "#"))
        }

    def query(self, sql: str, *arguments) -> list[tuple]:
        """Return the rows of a query, on a new connection."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            return connection.execute(sql, arguments).fetchall()

    def execute(self, sql: str) -> None:
        """Run a statement without rows, on a new connection."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute(sql)

    def stream_messages(self, stream: str, subject: str | None = None) -> list[bytes]:
        """Return the messages of a stream, oldest first."""
        return asyncio.run(self._stream_messages(stream, subject))

    async def _stream_messages(self, stream: str, subject: str | None) -> list[bytes]:
        client = Client()
        await client.connect(self.nats_url)
        try:
            js = client.jetstream()
            state = (await js.stream_info(stream, subjects_filter=subject or ">")).state
            expected = sum((state.subjects or {}).values())
            if not expected:
                return []
            subscription = await js.subscribe(subject or ">", stream=stream, ordered_consumer=True)
            return [(await subscription.next_msg(timeout=10)).data for _ in range(expected)]
        finally:
            await client.close()


class ServiceProcess(Server):
    """One service as `python -m`, with its admin port in `port`."""

    def __init__(self, folder: Path, module: str, environment: dict[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder)
        self.module = module
        self.environment = {**_inherited(), **environment, "ADMIN_LISTEN": f"127.0.0.1:{self.port}"}

    def start(self) -> None:
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.module], env=self.environment, stdout=log, stderr=log, cwd=self.folder
            )

    def terminate(self) -> int:
        self.process.terminate()
        return self.process.wait(30)

    @property
    def log_path(self) -> Path:
        return self.folder / "server.log"

    def run(self, *arguments: str) -> None:
        """Run a subcommand to its end."""
        command = [sys.executable, "-m", self.module, *arguments]
        done = subprocess.run(
            command, check=False, env=self.environment, capture_output=True, text=True, cwd=self.folder, timeout=60
        )
        assert done.returncode == 0, f"{self.module} {arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"


class EmbeddedStack(Stack):
    """The pipeline without containers. `environment` goes to every service, over the quick settings unless `quick` is
    false; services named in `without` are left for the test to launch.
    """

    def __init__(
        self,
        folder: Path,
        *,
        writers: int = 1,
        without: Iterable[str] = (),
        quick: bool = True,
        fsync: str = "off",
        **environment: str,
    ) -> None:
        self.folder = folder
        self._without = set(without)
        for name in ("nats", "postgres"):
            (folder / name).mkdir(parents=True)
        self.nats = NatsServer(folder / "nats", passwords=LOGINS.nats, ingest_password=LOGINS.pipeline)
        self.postgres = PostgresServer(folder / "postgres", fsync=fsync)
        self._ws_port = free_port()
        self.mqtt_url, self.database_url = self.nats.mqtt_url, self.postgres.url
        self.nats_url = f"nats://operator:{LOGINS.nats['operator']}@127.0.0.1:{self.nats.port}"
        self.ws_url = f"ws://127.0.0.1:{self._ws_port}/ws"
        self.environment = {**(QUICK if quick else {}), **self._addresses(), **environment}
        modules = {"ingest": "seve_ingest", "broadcaster": "seve_broadcaster", "history": "seve_history"}
        modules |= {f"writer-{n}" if n > 1 else "writer": "seve_writer" for n in range(1, writers + 1)}
        self._processes = {
            name: ServiceProcess(folder / name, module, {**self.environment, **self.login(module)})
            for name, module in modules.items()
        }
        self._setup = ServiceProcess(folder / "setup", "seve_writer", {**self.environment, **self.login("setup")})

    def login(self, part: str) -> dict[str, str]:
        """The variables with which a service, or `setup`, connects to NATS."""
        return LOGINS.nats_environment(part.removeprefix("seve_"), f"127.0.0.1:{self.nats.port}")

    def _addresses(self) -> dict[str, str]:
        return {
            "NATS_URL": self.nats_url,
            "MQTT_BROKER": self.mqtt_url,
            **LOGINS.mqtt_environment(),
            "DATABASE_URL": self.database_url,
            "MIGRATION_DATABASE_URL": self.database_url,
            "WS_LISTEN": f"127.0.0.1:{self._ws_port}",
        }

    @property
    def services(self) -> list[str]:
        return [name for name in self._processes if name not in self._without]

    def part(self, part: str) -> Server:
        """Return the server or service with a part's name."""
        return {"nats": self.nats, "postgres": self.postgres, **self._processes}[part]

    def admin_url(self, part: str) -> str:
        return f"http://127.0.0.1:{self._processes[part].port}"

    def pid(self, part: str) -> int:
        """The process of a part, whose children are part of it."""
        return self.part(part).process.pid

    def gone(self, part: str) -> bool:
        return self.part(part).process.poll() is not None

    def start(self) -> None:
        self.nats.start()
        self.postgres.start()
        self._setup.run("setup")
        for name in self.services:
            self._processes[name].start()
        self.wait_ready()

    def stop(self) -> None:
        for process in self._processes.values():
            process.stop()
        self.postgres.stop()
        self.nats.stop()

    def kill(self, part: str) -> None:
        self.part(part).kill()

    def terminate(self, part: str) -> int:
        server = self.part(part)
        server.stop()
        return server.process.returncode

    def launch(self, part: str) -> None:
        self._without.discard(part)
        self.part(part).start()

    def tail(self, part: str) -> str:
        path = self.part(part).folder / "server.log"
        return path.read_text(errors="replace")[-4000:] if path.exists() else "(no log)"

    def errors(self, part: str) -> list[dict]:
        """Return the events of level error in a service's log."""
        lines = (self.part(part).folder / "server.log").read_text(errors="replace").splitlines()
        events = [json.loads(line) for line in lines if line.startswith("{")]
        return [event for event in events if event.get("level") == "error"]


def _inherited() -> dict[str, str]:
    """Return the variables that a child needs from this process: no settings that happen to be exported."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH") if name in os.environ}
