"""The users and passwords of each part of the stack at the servers, and its environment. Pure."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

import msgspec

NATS_USERS: Final = ("setup", "ingest", "writer", "broadcaster", "history", "observer", "operator")
"""As in deploy/docker/nats/users.conf."""

PIPELINE: Final = "pipeline"
"""Ingest's user at the MQTT broker."""

BROKER: Final = "broker"
"""The user that bounds and reads the devices' queue, through NATS' own port."""

HEALTH: Final = "health"
"""The user that reads the NATS server's health, in the system account."""

MQTT_OPERATOR: Final = "mqtt_operator"
"""The user of people and their commands at the MQTT broker, which may publish but not read."""

SHARED: Final = "device"
"""The user without a password."""

RESERVED: Final = (*NATS_USERS, PIPELINE, BROKER, HEALTH, MQTT_OPERATOR)
"""Names that no device may have."""

OWNER, WRITER, PERSON, READER = "postgres", "seve_writer", "seve_operator", "seve_history"
"""Roles of the database: of the tables' owner, the writer, people and their commands, and history."""


class Logins(msgspec.Struct, frozen=True, kw_only=True):
    """Every password, and the name of ingest's session."""

    nats: dict[str, str]
    health: str
    broker: str
    pipeline: str
    mqtt_operator: str
    client_id: str
    database: dict[str, str]

    @classmethod
    def of(cls, secret: Callable[[str], str], client_id: str) -> Self:
        """Build the logins from the stack's secrets; `secret` returns one by its name."""
        names = {OWNER: "postgres", WRITER: "postgres_writer", PERSON: "postgres_operator", READER: "postgres_history"}
        return cls(
            nats={user: secret(f"nats_{user}") for user in NATS_USERS},
            health=secret("nats_health"),
            broker=secret("broker"),
            pipeline=secret("mqtt_pipeline"),
            mqtt_operator=secret("mqtt_operator"),
            client_id=client_id,
            database={role: secret(name) for role, name in names.items()},
        )

    def nats_environment(self, user: str, place: str, ca: Path | None = None) -> dict[str, str]:
        """Return the environment in which a user connects to NATS at `place` (host, port); by TLS with a `ca`."""
        return _nats_environment(user, self.nats[user], place, ca)

    def health_environment(self, place: str, ca: Path | None = None) -> dict[str, str]:
        """Return the environment in which the health of the server at `place` is checked."""
        return _nats_environment(HEALTH, self.health, place, ca)

    def mqtt_environment(self) -> dict[str, str]:
        """Return the environment in which ingest connects to the broker."""
        return {
            "MQTT_CLIENT_ID": self.client_id,
            "MQTT_USERNAME": PIPELINE,
            "MQTT_PASSWORD": self.pipeline,
            "MQTT_PASSWORD_FILE": "",
        }

    def mqtt_operator_environment(self) -> dict[str, str]:
        """Return the environment in which a person's commands connect to the broker."""
        return {"MQTT_USERNAME": MQTT_OPERATOR, "MQTT_PASSWORD": self.mqtt_operator, "MQTT_PASSWORD_FILE": ""}

    def broker_url(self, place: str, ca: Path | None = None) -> str:
        """Return the URL with which `up` bounds the devices' queue and `status` reads it."""
        return f"{'tls' if ca else 'nats'}://{BROKER}:{quote(self.broker, safe='')}@{place}"

    def database_url(self, role: str, place: str) -> str:
        """Return the URL with which a role connects to the database `seve` at `place`."""
        return f"postgresql://{role}:{quote(self.database[role], safe='')}@{place}/seve"


def _nats_environment(user: str, password: str, place: str, ca: Path | None) -> dict[str, str]:
    return {
        "NATS_URL": f"{'tls' if ca else 'nats'}://{place}",
        "NATS_CA_FILE": str(ca or ""),
        "NATS_USER": user,
        "NATS_PASSWORD": password,
        "NATS_PASSWORD_FILE": "",
        "NATS_INBOX_PREFIX": f"_INBOX_{user}",
    }
