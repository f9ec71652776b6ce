"""The embedded stack's settings. It passes the services' own settings on unchanged."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from seve_runtime.settings import Bytes, Count, Listen, Seconds, Secret
from seve_runtime.units import is_loopback

from seve_embedded.logins import RESERVED
from seve_embedded.shared import nats_memory
from seve_embedded.shared.links import FOLDER

Port = Annotated[int, Meta(ge=1, le=65535)]
Switch = Literal["on", "off"]


class StackSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of the stack. Everything listens on loopback unless one of them opens it."""

    tls: Annotated[
        Switch, Meta(description="`on`: TLS on every link, with the certificates that `./seve certs` makes")
    ] = "off"
    tls_folder: Annotated[str, Meta(description="where `./seve certs` puts what it makes, and TLS=on looks for it")] = (
        FOLDER
    )
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
    mqtt_devices: Annotated[
        Literal["shared", "own"],
        Meta(
            description="`own`: only devices with an identity (`./seve device add`) are let in; "
            "`shared`: also whoever gives MQTT_USERNAME and MQTT_PASSWORD, or anybody where these are not set"
        ),
    ] = "shared"
    mqtt_tls: Annotated[Switch | None, Meta(description="TLS between devices and broker; unset: as TLS says")] = None
    mqtt_tls_cert_file: Annotated[
        str | None, Meta(description="the broker's certificate chain (PEM), instead of what `./seve certs` makes")
    ] = None
    mqtt_tls_key_file: Annotated[str | None, Meta(description="its key (PEM, no password)")] = None
    mqtt_tls_client_ca_file: Annotated[
        str | None,
        Meta(description="devices must show a certificate that one of these (PEM) signed; .seve/tls/ca.pem has ours"),
    ] = None
    mqtt_allow_unencrypted: Annotated[
        bool, Meta(description="open MQTT to the network without TLS: passwords and data can be read along")
    ] = False
    mqtt_queue_max_bytes: Annotated[
        Bytes,
        Meta(ge=1 << 20, description="what the broker holds while ingest is away; then devices get no acknowledgement"),
    ] = 1 << 30
    ws_listen: Annotated[Listen, Meta(description="where browsers and scripts connect")] = "127.0.0.1:8080"
    ws_tls: Annotated[Switch | None, Meta(description="TLS of WebSocket and page; unset: as TLS says")] = None
    ws_tls_cert_file: Annotated[
        str | None, Meta(description="the broadcaster's certificate, instead of what `./seve certs` makes")
    ] = None
    nats_tls: Annotated[Switch | None, Meta(description="TLS between the services and NATS; unset: as TLS says")] = None
    postgres_tls: Annotated[
        Switch | None, Meta(description="TLS to PostgreSQL, in Docker only; unset: as TLS says")
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
    nats_memory_bytes: Annotated[
        Bytes,
        Meta(
            ge=nats_memory.LEAST,
            description="memory that NATS is to keep to (GOMEMLIMIT); more than some 8,000 devices need more",
        ),
    ] = nats_memory.DEFAULT
    postgres_port: Annotated[Port, Meta(description="PostgreSQL, on loopback only")] = 5432
    ingest_admin_port: Annotated[Port, Meta(description="health and metrics of ingest, on loopback only")] = 9101
    broadcaster_admin_port: Annotated[Port, Meta(description="health and metrics of broadcaster")] = 9102
    history_admin_port: Annotated[Port, Meta(description="health and metrics of history")] = 9103
    writer_admin_port: Annotated[
        Port, Meta(description="health and metrics of the first writer; further ones count up")
    ] = 9111
    writers: Annotated[Count, Meta(le=64, description="how many writers share the work")] = 1
    start_timeout: Annotated[Seconds, Meta(gt=0, description="how long `up` waits until all is ready")] = 60.0

    @property
    def mqtt_encrypted(self) -> bool:
        """Whether devices speak TLS to the broker."""
        return self.mqtt_tls_cert_file is not None or (self.mqtt_tls or self.tls) == "on"

    def __post_init__(self) -> None:
        """Refuse listen addresses that are opened by mistake. Raises ValueError, which names the setting."""
        if (self.mqtt_username is None) != (self.mqtt_password is None):
            raise ValueError("MQTT_USERNAME and MQTT_PASSWORD: set both or neither")
        if self.mqtt_username in RESERVED:
            raise ValueError(f"MQTT_USERNAME = {self.mqtt_username!r}: that name belongs to the stack itself")
        if self.mqtt_devices == "own" and self.mqtt_allow_anonymous:
            raise ValueError("MQTT_ALLOW_ANONYMOUS=true and MQTT_DEVICES=own contradict each other: take one out")
        if not (is_loopback(self.mqtt_listen) or self.login or self.mqtt_devices == "own" or self.mqtt_allow_anonymous):
            raise ValueError(
                f"MQTT_LISTEN = {self.mqtt_listen!r} opens MQTT to the network: MQTT_DEVICES=own lets in devices with "
                "an identity (./seve device add), MQTT_USERNAME and MQTT_PASSWORD those that know one password; "
                "MQTT_ALLOW_ANONYMOUS=true says outright that anybody may publish"
            )
        if not (is_loopback(self.mqtt_listen) or self.mqtt_encrypted or self.mqtt_allow_unencrypted):
            raise ValueError(
                f"MQTT_LISTEN = {self.mqtt_listen!r} opens MQTT to the network in clear text: run `./seve certs` and "
                "set MQTT_TLS=on, or say outright that everybody may read along: MQTT_ALLOW_UNENCRYPTED=true"
            )
        if self.postgres_tls == "on":
            raise ValueError(
                "POSTGRES_TLS = 'on': the PostgreSQL of embedded mode has no TLS and listens on 127.0.0.1 only; leave "
                "it unset, or use MODE=docker"
            )

    @property
    def login(self) -> tuple[str, str] | None:
        """The user and password that devices share; None if each has its own, or needs none."""
        if self.mqtt_devices == "own" or self.mqtt_username is None or self.mqtt_password is None:
            return None
        return self.mqtt_username, self.mqtt_password.reveal()
