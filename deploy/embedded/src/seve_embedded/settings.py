"""What the embedded stack can be told. The services' own settings pass through it untouched."""

from typing import Annotated

import msgspec
from msgspec import Meta
from seve_runtime.settings import Bytes, Count, Listen, Seconds, Secret
from seve_runtime.units import is_loopback

from seve_embedded.logins import RESERVED

Port = Annotated[int, Meta(ge=1, le=65535)]


class StackSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The stack's doors, from the environment or from `.env`. Everything listens on loopback until one is opened."""

    mqtt_listen: Annotated[
        Listen, Meta(description="where devices connect; `0.0.0.0:1883` opens it to the network")
    ] = "127.0.0.1:1883"
    mqtt_username: Annotated[str | None, Meta(description="user name that devices must give, with MQTT_PASSWORD")] = (
        None
    )
    mqtt_password: Annotated[
        Secret | None, Meta(description="password that devices must give; or MQTT_PASSWORD_FILE")
    ] = None
    mqtt_allow_anonymous: Annotated[
        bool, Meta(description="let devices in without a password although MQTT is open to the network")
    ] = False
    mqtt_queue_max_bytes: Annotated[
        Bytes,
        Meta(ge=1 << 20, description="what the broker holds while ingest is away; then devices get no acknowledgement"),
    ] = 1 << 30
    ws_listen: Annotated[Listen, Meta(description="where browsers and scripts connect")] = "127.0.0.1:8080"
    ws_tls_cert_file: Annotated[
        str | None, Meta(description="the broadcaster's certificate; with one, addresses begin with `wss` and `https`")
    ] = None
    nats_port: Annotated[Port, Meta(description="NATS, on loopback only")] = 4222
    nats_sync_interval: Annotated[
        str,
        Meta(
            pattern=r"^(always|[0-9]+(ms|s|m|h))$",
            extra={"expected": "always, or a duration such as 500ms, 2m or 1h"},
            description="how often JetStream calls fsync: what a power loss may take; `always`: before each ack",
        ),
    ] = "1s"
    postgres_port: Annotated[Port, Meta(description="PostgreSQL, on loopback only")] = 5432
    ingest_admin_port: Annotated[Port, Meta(description="health and metrics of ingest, on loopback only")] = 9101
    broadcaster_admin_port: Annotated[Port, Meta(description="health and metrics of broadcaster")] = 9102
    writer_admin_port: Annotated[
        Port, Meta(description="health and metrics of the first writer; further ones count up")
    ] = 9111
    writers: Annotated[Count, Meta(le=64, description="how many writers share the work")] = 1
    start_timeout: Annotated[Seconds, Meta(gt=0, description="how long `up` waits until all is ready")] = 60.0

    def __post_init__(self) -> None:
        """Refuse doors that nobody meant to open; raises ValueError, which names the setting."""
        if (self.mqtt_username is None) != (self.mqtt_password is None):
            raise ValueError("MQTT_USERNAME and MQTT_PASSWORD: set both or neither")
        if self.mqtt_username in RESERVED:
            raise ValueError(f"MQTT_USERNAME = {self.mqtt_username!r}: that name belongs to the stack itself")
        if not (is_loopback(self.mqtt_listen) or self.mqtt_password or self.mqtt_allow_anonymous):
            raise ValueError(
                f"MQTT_LISTEN = {self.mqtt_listen!r} opens MQTT to the network: set MQTT_USERNAME and MQTT_PASSWORD, "
                "or say outright that anybody may publish: MQTT_ALLOW_ANONYMOUS=true"
            )
