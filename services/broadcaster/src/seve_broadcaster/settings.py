"""The broadcaster's settings, and the rules between them."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta
from seve_runtime.nats.connection import NatsSettings
from seve_runtime.service import ServiceSettings
from seve_runtime.settings import Bytes, Count, Listen, Seconds, Secret
from seve_runtime.units import DAY, is_loopback

MIN_SECRET_BYTES: Final = 32


class AuthSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How clients authenticate. Without one of the three keys they need no token."""

    jwt_secret: Annotated[
        Secret | None, Meta(description="secret for HS256 tokens, at least 32 bytes; or JWT_SECRET_FILE")
    ] = None
    jwt_public_key_file: Annotated[
        str | None, Meta(description="public key (PEM) for RS256 or EdDSA tokens; reloaded when it changes")
    ] = None
    jwt_jwks_file: Annotated[
        str | None, Meta(description="set of public keys (JWKS) for RS256 or EdDSA tokens; reloaded when it changes")
    ] = None
    jwt_audience: Annotated[str | None, Meta(description="`aud` that tokens must have")] = None
    jwt_issuer: Annotated[str | None, Meta(description="`iss` that tokens must have")] = None

    jwt_max_age: Annotated[
        Seconds,
        Meta(
            description="longest time until `exp` of a token; a token that is valid for longer is refused; 0: any time"
        ),
    ] = 0.0

    @property
    def enabled(self) -> bool:
        """Whether clients need a token."""
        return any((self.jwt_secret, self.jwt_public_key_file, self.jwt_jwks_file))

    def __post_init__(self) -> None:
        if sum(map(bool, (self.jwt_secret, self.jwt_public_key_file, self.jwt_jwks_file))) > 1:
            raise ValueError("JWT_SECRET, JWT_PUBLIC_KEY_FILE and JWT_JWKS_FILE: set only one of them")
        if self.jwt_secret and len(self.jwt_secret.reveal().encode()) < MIN_SECRET_BYTES:
            raise ValueError(
                f"JWT_SECRET is shorter than {MIN_SECRET_BYTES} bytes, the least that RFC 7518 allows for HS256"
            )


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The broadcaster's settings."""

    service: ServiceSettings
    nats: NatsSettings
    auth: AuthSettings
    ws_listen: Annotated[Listen, Meta(description="where WebSocket clients and browsers connect")] = "127.0.0.1:8080"
    ws_allow_unauthenticated: Annotated[
        bool, Meta(description="serve clients without a token beyond loopback; needed there if no JWT key is set")
    ] = False
    ws_tls_cert_file: Annotated[
        str | None, Meta(description="certificate chain (PEM) of this port; reloaded when it changes")
    ] = None
    ws_tls_key_file: Annotated[
        str | None, Meta(description="key (PEM, no password) of the certificate; reloaded when it changes")
    ] = None
    ws_allow_unencrypted: Annotated[
        bool, Meta(description="serve without TLS beyond loopback, for example behind a proxy that has the certificate")
    ] = False
    ws_hosts: Annotated[
        tuple[str, ...],
        Meta(description="host names of this server, besides `localhost` and literal addresses"),
    ] = ()
    ws_origins: Annotated[
        tuple[str, ...],
        Meta(description="origins of other pages that may connect, such as `https://example.org`; `*` is any"),
    ] = ()
    ws_max_clients: Annotated[Count, Meta(description="most WebSocket clients; the next is closed with 1013")] = 10_000
    ws_max_clients_per_address: Annotated[
        Count, Meta(description="most WebSocket clients of one address; the next is closed with 1008")
    ] = 256
    ws_max_subscriptions: Annotated[Count, Meta(description="most subscriptions of one client")] = 1000
    ws_max_message_bytes: Annotated[
        Bytes, Meta(description="longest message of a client; a longer one closes the connection with 1009")
    ] = 64 << 10
    ws_max_message_rate: Annotated[
        Count,
        Meta(description="frames per second of one client, pings too; bursts of ten times that; beyond that: 1008"),
    ] = 10
    ws_buffer_bytes: Annotated[
        Bytes,
        Meta(ge=16384, description="bytes that may wait for one client's connection before the client counts as slow"),
    ] = 512 << 10
    ws_ping_interval: Annotated[
        Seconds,
        Meta(gt=0, description="a client that is idle for this long is pinged; after twice this it is disconnected"),
    ] = 12.0
    latest_save_interval: Annotated[
        Seconds,
        Meta(
            gt=0, description="how often the newest values are saved; a start reads the journal from the last save on"
        ),
    ] = 30.0
    recent_max_bytes: Annotated[
        Bytes, Meta(description="size of the newest messages kept in memory, for clients that resume")
    ] = 16 << 20
    module_silent_after: Annotated[
        Seconds, Meta(description="a module without a message for this long is shown as silent; 0: never")
    ] = 600.0
    module_forget_after: Annotated[
        Seconds, Meta(description="a module without a message for this long leaves the snapshots; 0: never")
    ] = 30 * DAY
    max_modules: Annotated[
        Count, Meta(description="most modules in snapshots; messages of further ones are sent to clients, and counted")
    ] = 10_000
    present_max_bytes: Annotated[
        Bytes, Meta(description="size of the newest envelopes of all series kept in memory, for snapshots")
    ] = 256 << 20

    query_timeout: Annotated[
        Seconds, Meta(gt=0, description="how long a history query may take before it is answered with 503")
    ] = 10.0

    @property
    def tls(self) -> bool:
        """Whether the port speaks TLS."""
        return self.ws_tls_cert_file is not None

    def __post_init__(self) -> None:
        if (self.ws_tls_cert_file is None) != (self.ws_tls_key_file is None):
            raise ValueError("WS_TLS_CERT_FILE and WS_TLS_KEY_FILE: set both or neither")
        if not is_loopback(self.ws_listen):
            self._check_open_port()

    def _check_open_port(self) -> None:
        faults = []
        if not (self.auth.enabled or self.ws_allow_unauthenticated):
            faults.append(
                "clients would need no token; set a JWT key, or WS_ALLOW_UNAUTHENTICATED=true if that is intended"
            )
        if not (self.tls or self.ws_allow_unencrypted):
            faults.append(
                "everything, tokens too, would be sent in clear text; set WS_TLS_CERT_FILE and WS_TLS_KEY_FILE, or "
                "WS_ALLOW_UNENCRYPTED=true if that is intended, for example behind a proxy"
            )
        if faults:
            reachable = f"WS_LISTEN = {self.ws_listen!r} is reachable from other machines, and "
            raise ValueError(reachable + "; and ".join(faults))
