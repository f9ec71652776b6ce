"""Where the simulated fleet finds the stack: settings from the environment, under the names the services use."""

from typing import Annotated

import msgspec
from msgspec import Meta
from seve_runtime.settings import Seconds, Secret


class FleetSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The defaults fit a stack on this machine."""

    mqtt_broker: Annotated[str, Meta(description="the broker the fleet publishes to, mqtt:// or mqtts://")] = (
        "mqtt://localhost:1883"
    )
    mqtt_username: Annotated[str | None, Meta(description="MQTT user")] = None
    mqtt_password: Annotated[Secret | None, Meta(description="its password; or MQTT_PASSWORD_FILE")] = None
    ws_url: Annotated[str, Meta(description="the broadcaster's WebSocket")] = "ws://127.0.0.1:8080/ws"
    ws_token: Annotated[Secret | None, Meta(description="JWT for the WebSocket; or WS_TOKEN_FILE")] = None
    database_url: Annotated[
        Secret, Meta(description="PostgreSQL, where stored samples are counted; or DATABASE_URL_FILE")
    ] = Secret("postgresql://postgres@127.0.0.1:5432/seve")
    query_command: Annotated[
        str | None,
        Meta(description="instead of DATABASE_URL: a shell command that takes SQL on stdin and answers as `psql -qAt`"),
    ] = None
    patience: Annotated[
        Seconds,
        Meta(description="how long to wait for missing samples after the last one; longer than the writers' ACK_WAIT"),
    ] = 90.0
