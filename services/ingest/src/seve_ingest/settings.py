"""What ingest can be told, all from the environment."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from seve_runtime.nats import NatsSettings
from seve_runtime.service import ServiceSettings
from seve_runtime.settings import Bytes, Seconds, Secret


class BrokerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach the MQTT broker and what to ask of it."""

    mqtt_broker: Annotated[
        str, Meta(pattern=r"^mqtts?://[^/@]+/?$", description="the broker: mqtt://host:1883 or mqtts://host:8883")
    ] = "mqtt://localhost:1883"
    mqtt_username: Annotated[str | None, Meta(description="user name at the broker")] = None
    mqtt_password: Annotated[Secret | None, Meta(description="its password; or MQTT_PASSWORD_FILE")] = None
    mqtt_client_id: Annotated[
        str, Meta(min_length=1, description="names the session that the broker keeps: one for each ingest, for ever")
    ] = "seve-ingest"
    mqtt_topics: Annotated[
        tuple[str, ...],
        Meta(min_length=1, description="topic filters, separated by commas; those of several ingests may not overlap"),
    ] = ("#",)
    mqtt_keepalive: Annotated[int, Meta(ge=5, le=3600, description="seconds of silence after which to ping")] = 30
    mqtt_reconnect: Annotated[Seconds, Meta(description="how long to wait before the next attempt, plus jitter")] = 5.0
    mqtt_connect_timeout: Annotated[Seconds, Meta(gt=0, description="how long an attempt may take")] = 30.0
    mqtt_version: Annotated[Literal["3.1.1", "5"], Meta(description="MQTT version to speak")] = "3.1.1"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings of ingest."""

    broker: BrokerSettings = BrokerSettings()
    max_inflight: Annotated[
        int,
        Meta(ge=1, le=16_384, description="messages that JetStream may still owe an ack; then reading stops"),
    ] = 10_000
    max_inflight_bytes: Annotated[Bytes, Meta(description="the same in bytes")] = 64 << 20
    publish_timeout: Annotated[
        Seconds, Meta(gt=0, description="how long to wait for JetStream's ack before publishing again")
    ] = 5.0
    dedup_tail: Annotated[
        int | None,
        Meta(
            ge=0,
            description="NATS messages of HISTORY to read back at start, to know what the broker will repeat; by "
            "default twice MAX_INFLIGHT. With several ingests also what the others publish while one is down",
        ),
    ] = None
    retention: Annotated[
        Seconds, Meta(gt=0, description="older samples go to the dead letters; the writer's setting of the same name")
    ] = 90 * 86400.0
    nats: NatsSettings = NatsSettings()
    service: ServiceSettings = ServiceSettings()
