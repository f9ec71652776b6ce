"""The programs of the stack, each with its command, its environment and its addresses. Pure; starts nothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec
from seve_runtime.units import reachable, split_listen

from seve_embedded.logins import OWNER, PERSON, READER, WRITER, Logins
from seve_embedded.settings import StackSettings
from seve_embedded.shared import nats_memory
from seve_embedded.shared.links import Links, mqtt_variables, ws_variables

SERVERS: Final = ("postgres", "nats")
EXIT_BAD_SETTINGS: Final = 2
"""The exit code of settings that cannot be used: a restart would change nothing."""

WRITER_LISTENER: Final = "WRITER_ADMIN_PORT"

WATCHDOG: Final = "watchdog"


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """One supervised process. `priority` orders the start, and reversed the stop; `stop_signal` drains it."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str] = {}
    priority: int
    stop_signal: str = "TERM"
    stop_seconds: int = 20
    admin_port: int | None = None

    @property
    def server(self) -> bool:
        """Whether it is one of the servers, which run before `setup` and stop last."""
        return self.name in SERVERS


class Addresses(msgspec.Struct, frozen=True, kw_only=True):
    """Addresses at which people and commands on this machine reach the parts of the stack."""

    mqtt: str
    mqtt_operator: dict[str, str]
    """The variables of the broker's user `mqtt_operator`."""
    nats: dict[str, str]
    """The variables of NATS' user `operator`."""
    health: dict[str, str]
    """The variables of NATS' user `health`, which may only ask for the server's health."""
    observer: dict[str, str]
    """The variables of NATS' user `observer`, which only reads."""
    broker: str
    """The URL of NATS as the user that bounds and reads the devices' queue."""
    database: str
    """The database's URL, as a role that reads and changes rows."""
    reader: str
    """The same database, as a role that reads and changes nothing."""
    owner: str
    """The same database, as the tables' owner."""
    websocket: str
    tls: dict[str, str] = {}
    """The variables with which clients of MQTT and of the WebSocket verify the server."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All programs and addresses, as `up` recorded them: the settings may have changed since."""

    programs: list[Program]
    addresses: Addresses
    listeners: list[tuple[str, str, int]]
    """Every listen address, as setting, host and port."""
    stream_bytes: int
    """The size that all streams may grow to, those of the MQTT broker included."""
    writers: int
    dotenv: str
    """Digest of `.env` when it was read."""

    @property
    def rows(self) -> dict[str, str]:
        """Return all addresses by name, to be shown; without passwords."""
        database, page = urlsplit(self.addresses.database), urlsplit(self.addresses.websocket)
        return {
            "MQTT": self.addresses.mqtt,
            "WebSocket": self.addresses.websocket,
            "Screen": f"{'https' if page.scheme == 'wss' else 'http'}://{page.netloc}/",
            "Database": f"postgresql://{database.hostname}:{database.port}{database.path}   (./seve psql)",
            **{one.name: f"http://127.0.0.1:{one.admin_port}/metrics" for one in self.programs if one.admin_port},
        }

    def program(self, name: str) -> Program | None:
        """Return a program by its name."""
        return next((program for program in self.programs if program.name == name), None)


CLEAR: Final = Links()


def addresses(settings: StackSettings, logins: Logins, links: Links = CLEAR) -> Addresses:
    """Return the addresses of the embedded servers, with the logins of people and commands."""
    mqtt_host, mqtt_port = split_listen(settings.mqtt_listen)
    ws_host, ws_port = split_listen(settings.ws_listen)
    nats, database = f"127.0.0.1:{settings.nats_port}", f"127.0.0.1:{settings.postgres_port}"
    return Addresses(
        mqtt=f"{'mqtts' if links.mqtt else 'mqtt'}://{reachable(mqtt_host)}:{mqtt_port}",
        mqtt_operator=logins.mqtt_operator_environment(),
        nats=logins.nats_environment("operator", nats, nats_ca(links)),
        health=logins.health_environment(nats, nats_ca(links)),
        observer=logins.nats_environment("observer", nats, nats_ca(links)),
        broker=logins.broker_url(nats, nats_ca(links)),
        database=logins.database_url(PERSON, database),
        reader=logins.database_url(READER, database),
        owner=logins.database_url(OWNER, database),
        websocket=f"{'wss' if links.ws else 'ws'}://{reachable(ws_host)}:{ws_port}/ws",
        tls={**mqtt_variables(links), **ws_variables(links)},
    )


def nats_ca(links: Links) -> Path | None:
    """Return the variables that verify NATS, if it speaks TLS."""
    return links.ca if links.nats else None


def client_environment(found: Addresses) -> dict[str, str]:
    """Return the variables with which every command of the project finds this stack."""
    return {
        "MQTT_BROKER": found.mqtt,
        **found.mqtt_operator,
        **found.nats,
        "DATABASE_URL": found.database,
        "MIGRATION_DATABASE_URL": found.owner,
        "WS_URL": found.websocket,
        **found.tls,
    }


def setup_environment(settings: StackSettings, logins: Logins, links: Links = CLEAR) -> dict[str, str]:
    """Return the variables of `seve-writer setup`, which owns streams and tables."""
    owner = logins.database_url(OWNER, f"127.0.0.1:{settings.postgres_port}")
    nats = logins.nats_environment("setup", f"127.0.0.1:{settings.nats_port}", nats_ca(links))
    return {**nats, "DATABASE_URL": owner, "MIGRATION_DATABASE_URL": owner}


def programs(
    settings: StackSettings,
    logins: Logins,
    *,
    python: str,
    postgres: Sequence[str],
    nats: Sequence[str],
    links: Links = CLEAR,
) -> list[Program]:
    """Return the servers and the services, in the order of their start. Each service gets the passwords of its own
    users only.
    """
    place = f"127.0.0.1:{settings.postgres_port}"
    database, reading = logins.database_url(WRITER, place), logins.database_url(READER, place)

    def service(name: str, user: str, port: int, priority: int, **extra: str) -> Program:
        return Program(
            name=name,
            command=(python, "-m", f"seve_{user}"),
            environment={
                **logins.nats_environment(user, f"127.0.0.1:{settings.nats_port}", nats_ca(links)),
                "ADMIN_LISTEN": f"127.0.0.1:{port}",
                **extra,
            },
            priority=priority,
            admin_port=port,
        )

    session = {**logins.mqtt_environment(), **broker_environment(settings, links)}
    memory = nats_memory.environment(settings.nats_memory_bytes)
    screens = {"WS_LISTEN": settings.ws_listen, **screens_environment(links)}
    return [
        Program(name="postgres", command=tuple(postgres), priority=10, stop_signal="INT", stop_seconds=60),
        Program(name="nats", command=tuple(nats), environment=memory, priority=20),
        *(
            service(writer_name(n), "writer", settings.writer_admin_port + n - 1, 30, DATABASE_URL=database)
            for n in range(1, settings.writers + 1)
        ),
        service("history", "history", settings.history_admin_port, 35, DATABASE_URL=reading),
        service("broadcaster", "broadcaster", settings.broadcaster_admin_port, 40, **screens),
        service("ingest", "ingest", settings.ingest_admin_port, 50, **session),
        Program(name=WATCHDOG, command=(python, "-m", "seve_embedded.supervision.watchdog"), priority=60),
    ]


def broker_environment(settings: StackSettings, links: Links) -> dict[str, str]:
    """Return the environment in which ingest reaches and verifies the broker."""
    host, port = split_listen(settings.mqtt_listen)
    scheme = "mqtts" if links.mqtt else "mqtt"
    return {"MQTT_BROKER": f"{scheme}://{reachable(host)}:{port}", **mqtt_variables(links)}


def screens_environment(links: Links) -> dict[str, str]:
    """Return the broadcaster's certificate, if it has one."""
    return {"WS_TLS_CERT_FILE": str(links.ws.cert), "WS_TLS_KEY_FILE": str(links.ws.key)} if links.ws else {}


def writer_name(number: int) -> str:
    """Return the name of a writer, counted from 1."""
    return f"writer-{number}" if number > 1 else "writer"


def rescaled(running: Plan, writers: int) -> Plan:
    """Return the plan of a running stack with another number of writers: each is the first one with another admin port.

    Nothing else changes, even if the settings have: the running programs have those of their start.
    """
    first = next(program for program in running.programs if program.name == writer_name(1))
    port = first.admin_port or 0
    copies = [
        msgspec.structs.replace(
            first,
            name=writer_name(number),
            environment={**first.environment, "ADMIN_LISTEN": f"127.0.0.1:{port + number - 1}"},
            admin_port=port + number - 1,
        )
        for number in range(1, writers + 1)
    ]
    others = [program for program in running.programs if not program.name.startswith(writer_name(1))]
    places = [listener for listener in running.listeners if listener[0] != WRITER_LISTENER]
    return msgspec.structs.replace(
        running,
        programs=sorted([*others, *copies], key=lambda program: program.priority),
        listeners=[*places, *((WRITER_LISTENER, "127.0.0.1", port + number) for number in range(writers))],
        writers=writers,
    )


def listeners(settings: StackSettings) -> list[tuple[str, str, int]]:
    """Return every address that the stack listens on, as setting, host and port."""
    mqtt_host, mqtt_port = split_listen(settings.mqtt_listen)
    ws_host, ws_port = split_listen(settings.ws_listen)
    local = "127.0.0.1"
    return [
        ("MQTT_LISTEN", mqtt_host, mqtt_port),
        ("WS_LISTEN", ws_host, ws_port),
        ("NATS_PORT", local, settings.nats_port),
        ("POSTGRES_PORT", local, settings.postgres_port),
        ("INGEST_ADMIN_PORT", local, settings.ingest_admin_port),
        ("BROADCASTER_ADMIN_PORT", local, settings.broadcaster_admin_port),
        ("HISTORY_ADMIN_PORT", local, settings.history_admin_port),
        *((WRITER_LISTENER, local, settings.writer_admin_port + number) for number in range(settings.writers)),
    ]
