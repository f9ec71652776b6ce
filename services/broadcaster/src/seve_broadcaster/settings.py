"""What the broadcaster can be told, and the rules between settings."""

from typing import Annotated

import msgspec
from msgspec import Meta
from seve_runtime.nats import NatsSettings
from seve_runtime.service import ServiceSettings
from seve_runtime.settings import Bytes, Count, Listen, Seconds, is_loopback


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The broadcaster's settings."""

    service: ServiceSettings
    nats: NatsSettings
    ws_listen: Annotated[Listen, Meta(description="where WebSocket clients and browsers connect")] = "127.0.0.1:8080"
    ws_allow_unauthenticated: Annotated[
        bool, Meta(description="serve everyone who reaches an address beyond loopback; needed there without a JWT key")
    ] = False
    ws_hosts: Annotated[
        tuple[str, ...],
        Meta(description="names this server is reached by, besides `localhost` and literal addresses"),
    ] = ()
    ws_origins: Annotated[
        tuple[str, ...],
        Meta(description="origins of foreign pages that may connect, as `https://example.org`; `*` is any"),
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
        Count, Meta(description="messages a second of one client, with bursts of ten times that; beyond: 1008")
    ] = 10
    ws_buffer_bytes: Annotated[
        Bytes, Meta(ge=16384, description="what may wait for one client's connection before the client counts as slow")
    ] = 512 << 10
    ws_ping_interval: Annotated[
        Seconds, Meta(gt=0, description="a client that is silent this long is asked; after twice this it is dead")
    ] = 12.0
    recent_max_bytes: Annotated[
        Bytes, Meta(description="the newest stretch of the stream kept in memory, for clients that resume")
    ] = 16 << 20
    present_max_bytes: Annotated[
        Bytes, Meta(description="the newest envelopes of all series kept in memory, for snapshots")
    ] = 256 << 20

    def __post_init__(self) -> None:
        if not is_loopback(self.ws_listen) and not self.ws_allow_unauthenticated:
            raise ValueError(
                f"WS_LISTEN = {self.ws_listen!r} is reachable from other machines and nobody would have to say who "
                "they are; set WS_ALLOW_UNAUTHENTICATED=true if that is meant"
            )
