"""The devices' queue: what NATS, as the MQTT broker, holds for ingest while that is away.

NATS makes it without a bound; this gives it one. When it is full, NATS acknowledges no more and closes the connection
of a device that publishes at QoS 1; it takes the message when the device repeats it and there is room again.
"""

import asyncio
from typing import Final, NamedTuple

from nats.aio.client import Client
from nats.js.api import DiscardPolicy, StreamInfo

STREAM: Final = "$MQTT_msgs"
PATIENCE: Final = 5
UNSEEN: Final = b"$SEVE.INBOX"
"""Answers come in the devices' own account: MQTT's `#` sees every subject of it but those that begin with `$`."""


class Queue(NamedTuple):
    """How much waits for ingest; sizes in bytes."""

    messages: int
    size: int
    limit: int


async def waiting(broker: str, patience: float = PATIENCE) -> Queue:
    """What waits now. Raises what nats-py raises, NotFoundError before the first MQTT client ever connected."""
    info = await _ask(broker, None, patience)
    return Queue(info.state.messages, info.state.bytes, info.config.max_bytes or 0)


def bound(broker: str, max_bytes: int) -> None:
    """Bound the queue, where it is not already. Raises as `waiting` does."""
    asyncio.run(_ask(broker, max_bytes, PATIENCE))


async def _ask(broker: str, max_bytes: int | None, patience: float) -> StreamInfo:
    client = Client()
    connecting = client.connect(broker, allow_reconnect=False, connect_timeout=PATIENCE, inbox_prefix=UNSEEN)
    await asyncio.wait_for(connecting, patience)
    try:
        js = client.jetstream(timeout=patience)
        info = await js.stream_info(STREAM)
        if max_bytes is not None and (info.config.max_bytes, info.config.discard) != (max_bytes, DiscardPolicy.NEW):
            info.config.max_bytes, info.config.discard = max_bytes, DiscardPolicy.NEW
            info = await js.update_stream(info.config)
        return info
    finally:
        await client.close()
