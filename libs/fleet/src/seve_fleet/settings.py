"""The simulated fleet's settings: the addresses of the stack, under the names that the services use."""

import ssl
from typing import Annotated

import msgspec
from msgspec import Meta
from seve_runtime.settings import Seconds, Secret
from seve_runtime.tls import client_context


class FleetSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The defaults fit a stack on this machine."""

    mqtt_broker: Annotated[str, Meta(description="the broker the fleet publishes to, mqtt:// or mqtts://")] = (
        "mqtt://localhost:1883"
    )
    mqtt_username: Annotated[str | None, Meta(description="MQTT user")] = None
    mqtt_password: Annotated[Secret | None, Meta(description="password of that user; or MQTT_PASSWORD_FILE")] = None
    mqtt_ca_file: Annotated[
        str | None, Meta(description="with mqtts://: certificates to trust, instead of the system's")
    ] = None
    mqtt_cert_file: Annotated[str | None, Meta(description="with mqtts://: client certificate of the fleet")] = None
    mqtt_key_file: Annotated[str | None, Meta(description="its private key, if it is in another file")] = None
    mqtt_server_name: Annotated[
        str | None, Meta(description="with mqtts://: the name in the broker's certificate, if it is not the host")
    ] = None
    ws_url: Annotated[str, Meta(description="the broadcaster's WebSocket")] = "ws://127.0.0.1:8080/ws"
    ws_ca_file: Annotated[
        str | None, Meta(description="with wss://: certificates to trust, instead of the system's")
    ] = None
    ws_server_name: Annotated[
        str | None, Meta(description="with wss://: the name in the broadcaster's certificate, if it is not the host")
    ] = None
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

    def mqtt_tls(self) -> ssl.SSLContext | None:
        """Return the TLS context of `mqtts://`, else None. Raises SettingsError for files that cannot be used."""
        if not self.mqtt_broker.startswith("mqtts:"):
            return None
        files = (self.mqtt_ca_file, self.mqtt_cert_file, self.mqtt_key_file)
        return client_context("MQTT", *files, server_name=self.mqtt_server_name)

    def ws_tls(self) -> ssl.SSLContext | None:
        """Return the TLS context of `wss://`, else None. Raises SettingsError for a file that cannot be used."""
        if not self.ws_url.startswith("wss:"):
            return None
        return client_context("WS", self.ws_ca_file, server_name=self.ws_server_name)
