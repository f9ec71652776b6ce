"""Bounds the devices' queue: the messages that NATS, as the MQTT broker, holds while ingest is down.

NATS creates it without a bound. When it is full, NATS acknowledges nothing more and closes the connection of a device
that publishes at QoS 1; it accepts the message when the device sends it again and there is room.

The other streams that NATS keeps for MQTT are bounded too, and refuse new entries when full: sessions (a client without
one is turned away; ingest, which has one, comes in), retained messages (delivered, but not retained), halves of QoS 2.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy
from seve_runtime.nats.connection import NatsSettings, tls_options

STREAM: Final = "$MQTT_msgs"
OTHERS: Final = {"$MQTT_sess": 256 << 20, "$MQTT_rmsgs": 64 << 20, "$MQTT_qos2in": 64 << 20, "$MQTT_out": 16 << 20}
"""Most bytes of each stream. A session takes some 170 bytes; no new client can connect while the list of sessions is
full, so it is large.
"""

PATIENCE: Final = 5
INBOX_PREFIX: Final = b"$SEVE.INBOX"
"""Answers arrive in the devices' own account, where MQTT's `#` sees every subject except those that begin with `$`."""


class Queue(NamedTuple):
    """The messages that wait for ingest; sizes in bytes."""

    messages: int
    size: int
    limit: int


async def waiting(broker: str, ca_file: str | None = None, patience: float = PATIENCE) -> Queue:
    """Return the messages that wait now; `ca_file` verifies a `tls://` broker.

    Raises as nats-py; NotFoundError before the first MQTT client connected.
    """
    async with _streams(broker, ca_file, patience) as js:
        info = await js.stream_info(STREAM)
    return Queue(info.state.messages, info.state.bytes, info.config.max_bytes or 0)


def bound(broker: str, max_bytes: int, ca_file: str | None = None) -> None:
    """Bound the queue to `max_bytes` and the other streams to OTHERS, unless they are. Raises as `waiting`."""
    asyncio.run(_bound(broker, ca_file, {STREAM: max_bytes, **OTHERS}))


async def _bound(broker: str, ca_file: str | None, limits: Mapping[str, int]) -> None:
    async with _streams(broker, ca_file, PATIENCE) as js:
        for name, max_bytes in limits.items():
            config = (await js.stream_info(name)).config
            if (config.max_bytes, config.discard) != (max_bytes, DiscardPolicy.NEW):
                config.max_bytes, config.discard = max_bytes, DiscardPolicy.NEW
                await js.update_stream(config)


@asynccontextmanager
async def _streams(broker: str, ca_file: str | None, patience: float) -> AsyncIterator[JetStreamContext]:
    client = Client()
    tls = tls_options(NatsSettings(nats_url=(broker,), nats_ca_file=ca_file or None))
    connecting = client.connect(
        broker, allow_reconnect=False, connect_timeout=PATIENCE, inbox_prefix=INBOX_PREFIX, **tls
    )
    await asyncio.wait_for(connecting, patience)
    try:
        yield client.jetstream(timeout=patience)
    finally:
        await client.close()
