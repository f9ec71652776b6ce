"""One embedded stack: its settings, its folder, its planned and its running programs. Commands use it; it does nothing
by itself.
"""

import os
import resource
import sys
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Final, Self

import msgspec
from seve_runtime.errors import SettingsError
from seve_runtime.nats.topology import TopologySettings
from seve_runtime.settings import load
from seve_runtime.units import split_listen

from seve_embedded import plan
from seve_embedded.logins import Logins
from seve_embedded.plan import Plan
from seve_embedded.servers import mqtt_queue, nats, postgres
from seve_embedded.settings import StackSettings
from seve_embedded.shared import env_file, identities, links
from seve_embedded.shared.disk import STREAMS
from seve_embedded.shared.logfile import tail
from seve_embedded.state import State, write_private
from seve_embedded.supervision import config, processes
from seve_embedded.supervision.client import Supervisor

SUPERVISOR: Final = "supervisor"
"""The name under which the supervisor itself is recorded."""

OPEN_FILES: Final = 65_536


class Stack:
    """A stack in its state folder. `environ` is the environment that services inherit, `.env` included."""

    def __init__(self, settings: StackSettings, state: State, environ: Mapping[str, str], dotenv: str = "") -> None:
        self.settings = settings
        self.state = state
        self.environ = dict(environ)
        self.dotenv = blake2b(dotenv.encode(), digest_size=8).hexdigest()
        self._log_sizes: dict[str, int] = {}

    @classmethod
    def open(cls, environ: Mapping[str, str], root: Path) -> Self:
        """Open the stack of the project at `root`. Raises SettingsError for settings that cannot be used."""
        file = root / ".env"
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        try:
            every = env_file.merged(environ, text)
        except env_file.EnvFileError as error:
            raise SettingsError(error.faults) from error
        return cls(load(StackSettings, every), State(root / ".seve"), every, text)

    @property
    def wanted(self) -> Plan:
        """The plan for the current settings."""
        programs = plan.programs(
            self.settings,
            self.logins,
            python=sys.executable,
            postgres=postgres.command(self.state.postgres_data, self.settings.postgres_port, timezone="UTC"),
            nats=[str(nats.binary()), "--config", str(self.state.nats_config)],
            links=self.links,
        )
        return Plan(
            programs=programs,
            addresses=plan.addresses(self.settings, self.logins, self.links),
            listeners=plan.listeners(self.settings),
            stream_bytes=self.stream_bytes,
            writers=self.settings.writers,
            dotenv=self.dotenv,
        )

    @property
    def stream_bytes(self) -> int:
        """The size that all streams may grow to, by the settings. Raises SettingsError."""
        sizes = load(TopologySettings, self.environ)
        mqtt = self.settings.mqtt_queue_max_bytes + sum(mqtt_queue.OTHERS.values())
        return mqtt + sum(int(getattr(sizes, name.lower())) for name in STREAMS)

    @property
    def links(self) -> links.Links:
        """The files of each link that speaks TLS. Raises SettingsError for settings that clash."""
        return links.links(self.environ, self.state.folder.parent)

    @property
    def mqtt_client_id(self) -> str:
        """The name of ingest's session: the setting, or the stack's own secret."""
        return self.environ.get("MQTT_CLIENT_ID") or self.state.mqtt_client_id

    @property
    def logins(self) -> Logins:
        """The logins of each part at the servers; passwords are created on first use."""
        return Logins.of(self.state.secret, self.mqtt_client_id)

    @property
    def written(self) -> Plan | None:
        """The plan that the last `up` or `scale` recorded; None if there is none, or if another version recorded it."""
        try:
            return msgspec.json.decode(self.state.plan.read_bytes(), type=Plan)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    @property
    def running(self) -> list[processes.ProcessRecord]:
        """The stack's processes that are alive, the supervisor included."""
        return processes.alive(self.state.pids)

    @property
    def supervised(self) -> bool:
        """Whether its supervisor is alive."""
        return any(process.name == SUPERVISOR for process in self.running)

    @property
    def current(self) -> Plan:
        """The plan of the running stack, or, while nothing runs, of the settings."""
        return (self.written if self.running else None) or self.wanted

    @property
    def client_environ(self) -> dict[str, str]:
        """The environment in which a command finds this stack."""
        return {**self.environ, **plan.client_environment(self.current.addresses)}

    @property
    def looking_on(self) -> dict[str, str]:
        """The logins of commands that only read: NATS' `observer`, the broker's `pipeline`, history's role in the
        database.
        """
        login = {name: value for name, value in self.logins.mqtt_environment().items() if name != "MQTT_CLIENT_ID"}
        found = self.current.addresses
        return {**found.observer, **login, "DATABASE_URL": found.reader}

    @property
    def setup_environ(self) -> dict[str, str]:
        """The environment of `seve-writer setup`."""
        return {**self.environ, **plan.setup_environment(self.settings, self.logins, self.links)}

    @property
    def supervisor(self) -> Supervisor:
        """The client of its supervisor."""
        return Supervisor(self.state.socket)

    def mark_logs(self) -> None:
        """Remember where each log ends now, so that `log_tail` shows nothing of an earlier start."""
        self._log_sizes = {path.name: path.stat().st_size for path in self.state.logs.glob("*.log")}

    def log_tail(self, program: str) -> str:
        """Return the end of a program's log for a person, since `mark_logs`."""
        path = self.state.log(program)
        return tail(path, since=self._log_sizes.get(path.name, 0))

    def write(self) -> None:
        """Write the files that the supervisor and the servers read, by the present settings."""
        write_private(self.state.nats_base, self._nats_base())
        write_private(self.state.nats_config, self.nats_config())
        self.write_plan(self.wanted)

    def write_plan(self, wanted: Plan) -> None:
        """Record the plan for the supervisor; leave the configurations of the servers as they are."""
        write_private(self.state.plan, msgspec.json.encode(wanted).decode())
        text = config.render(wanted.programs, root=os.geteuid() == 0, files=_open_files())
        write_private(self.state.supervisor_config, text)

    def nats_config(self) -> str:
        """Return the configuration that the server was started with, with the identities of devices. Raises
        DeviceError.
        """
        known = identities.load(self.state.secrets)
        identities.check_shared(known, self.settings.login)
        rights = identities.rights(known, self.environ, self.state.folder.parent)
        devices = [(module, one.digest, rights[module]) for module, one in known.items()]
        return nats.with_identities(self.state.nats_base.read_text("utf-8"), devices)

    def _nats_base(self) -> str:
        settings, tls = self.settings, self.links
        mqtt_host, mqtt_port = split_listen(settings.mqtt_listen)
        return nats.config(
            self.state.nats_data,
            port=settings.nats_port,
            mqtt_host=mqtt_host,
            mqtt_port=mqtt_port,
            sync_interval=settings.nats_sync_interval,
            passwords=self.logins.nats,
            ingest_password=self.logins.pipeline,
            broker_password=self.logins.broker,
            health_password=self.logins.health,
            operator_password=self.logins.mqtt_operator,
            device=settings.login,
            anonymous=settings.mqtt_devices == "shared",
            tls=tls.nats,
            mqtt_tls=tls.mqtt,
            mqtt_client_ca=tls.mqtt_client_ca,
        )


def _open_files() -> int:
    """Return how many files a process may open: as many as the WebSocket clients need, if the system allows that."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
