"""Ingest's settings, and the rules between them."""

import re
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta
from seve_runtime.nats.connection import NatsSettings
from seve_runtime.service import ServiceSettings
from seve_runtime.settings import Bytes, Seconds, Secret
from seve_runtime.units import DAY

from seve_ingest.publish.redelivery import LARGEST_WINDOW

_RANGE: Final = re.compile(r"([^=]+)=(-?[0-9.]+)\.\.(-?[0-9.]+)")
_FILTER: Final = re.compile(r"(?:(?:[^/+#]*|\+)/)*(?:[^/+#]+|\+|#)")
_Natural = Annotated[int, Meta(ge=0)]


class BrokerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The MQTT broker and ingest's session at it."""

    mqtt_broker: Annotated[
        str,
        Meta(
            pattern=r"^mqtts?://[^/@]+/?$",
            extra={"expected": "mqtt://host:1883 or mqtts://host:8883, without a user"},
            description="the broker: mqtt://host:1883 or mqtts://host:8883",
        ),
    ] = "mqtt://localhost:1883"
    mqtt_username: Annotated[str | None, Meta(description="user name at the broker")] = None
    mqtt_password: Annotated[Secret | None, Meta(description="password of that user; or MQTT_PASSWORD_FILE")] = None
    mqtt_client_id: Annotated[
        str,
        Meta(
            min_length=1,
            description="name of ingest's session at the broker: each ingest needs its own, and must keep it",
        ),
    ] = "seve-ingest"
    mqtt_topics: Annotated[
        tuple[str, ...],
        Meta(
            min_length=1,
            description="topic filters, separated by commas; several ingests need filters that do not overlap",
        ),
    ] = ("#",)
    mqtt_version: Annotated[Literal["3.1.1", "5"], Meta(description="MQTT version to speak: 3.1.1 or 5")] = "3.1.1"
    mqtt_keepalive: Annotated[int, Meta(ge=5, le=3600, description="seconds of silence after which to ping")] = 30
    mqtt_reconnect: Annotated[Seconds, Meta(gt=0, description="longest wait before the next attempt, plus jitter")] = (
        5.0
    )
    mqtt_connect_timeout: Annotated[Seconds, Meta(gt=0, description="how long an attempt may take")] = 30.0
    mqtt_ca_file: Annotated[
        str | None, Meta(description="with mqtts://: certificates to trust, instead of the system's")
    ] = None
    mqtt_cert_file: Annotated[str | None, Meta(description="with mqtts://: client certificate")] = None
    mqtt_key_file: Annotated[str | None, Meta(description="its private key, if it is in another file")] = None
    mqtt_server_name: Annotated[
        str | None, Meta(description="with mqtts://: the name in the broker's certificate, if it is not the host")
    ] = None

    def __post_init__(self) -> None:
        files = (self.mqtt_ca_file, self.mqtt_cert_file, self.mqtt_key_file, self.mqtt_server_name)
        if any(files) and not self.mqtt_broker.startswith("mqtts:"):
            raise ValueError(
                "MQTT_CA_FILE, MQTT_CERT_FILE, MQTT_KEY_FILE and MQTT_SERVER_NAME need MQTT_BROKER=mqtts://…"
            )
        for topic in self.mqtt_topics:
            if not _FILTER.fullmatch(topic):
                raise ValueError(
                    f"MQTT_TOPICS: {topic!r} is no topic filter: + and # stand for whole levels, # at the end"
                )
        if self.mqtt_key_file and not self.mqtt_cert_file:
            raise ValueError("MQTT_KEY_FILE needs MQTT_CERT_FILE")


class RuleSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The meaning of topics, and the bounds of samples."""

    mqtt_topic_prefix: Annotated[str, Meta(description="levels before every topic, removed before routing")] = ""
    route_presets: Annotated[
        tuple[Literal["esphome", "tasmota", "zigbee2mqtt", "native"], ...],
        Meta(description="firmwares whose topics ingest understands too: esphome, tasmota, zigbee2mqtt"),
    ] = ()
    routes_file: Annotated[str | None, Meta(description="TOML file of routes that are tried before all others")] = None
    value_ranges: Annotated[
        tuple[str, ...],
        Meta(description="samples outside become dead letters: temperature=-40..85,humidity=0..100"),
    ] = ()
    retention: Annotated[
        Seconds,
        Meta(
            description="older samples become dead letters; 0 accepts all; the same setting as the writer's",
        ),
    ] = 90 * DAY

    def __post_init__(self) -> None:
        self.ranges()

    def ranges(self) -> dict[str, tuple[float, float]]:
        """Return least and most by sensor type. Raises ValueError, which loading reports as a fault."""
        ranges: dict[str, tuple[float, float]] = {}
        for text in self.value_ranges:
            match = _RANGE.fullmatch(text)
            try:
                sensor, least, most = (match[1].strip(), float(match[2]), float(match[3])) if match else ("", 1, 0)
            except ValueError:
                sensor, least, most = "", 1, 0
            if least > most or not sensor:
                raise ValueError(f"VALUE_RANGES: {text!r} is not of the form temperature=-40..85")
            ranges[sensor] = (least, most)
        return ranges


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings of ingest."""

    broker: BrokerSettings = BrokerSettings()
    rules: RuleSettings = RuleSettings()
    max_inflight: Annotated[
        int,
        Meta(
            ge=1,
            le=LARGEST_WINDOW,
            description="most messages without JetStream's ack; beyond that ingest stops reading",
        ),
    ] = 10_000
    max_inflight_bytes: Annotated[
        Bytes, Meta(ge=1 << 20, description="most bytes without JetStream's ack; beyond that ingest stops reading")
    ] = 64 << 20
    publish_timeout: Annotated[
        Seconds, Meta(gt=0, description="how long to wait for JetStream's ack before publishing again")
    ] = 5.0
    dedup_tail: Annotated[
        _Natural,
        Meta(
            description="ingest's newest envelopes that it reads from the journal at start, to recognise redeliveries"
        ),
    ] = 131_072
    nats: NatsSettings = NatsSettings()
    service: ServiceSettings = ServiceSettings()
