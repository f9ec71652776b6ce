"""What HISTORY says was published last: the delivery keys by which a message that the broker brings again is known, and
the ids of publishes whose ack was lost.

Reads only; waits until HISTORY has caught up with the journal, but not for ever.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final

import msgspec
import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError
from seve_runtime.errors import Stopped
from seve_runtime.lifecycle import Stop, pause
from seve_runtime.topology import HISTORY, JOURNAL

log = structlog.get_logger()

CATCH_UP_SECONDS: Final = 15.0
"""How long HISTORY may lag behind the journal: usually milliseconds; a HISTORY made anew never catches up."""


MESSAGE_ID: Final = "Nats-Msg-Id"


class _Key(msgspec.Struct, rename="camel"):
    delivery_key: str | None = None


_keys: Final = msgspec.json.Decoder(list[_Key]).decode


async def known_keys(js: JetStreamContext, stop: Stop, tail: int, client: str) -> list[str]:
    """As `delivery_keys`, tried again until NATS answers or `stop` is set."""
    while not stop.is_set():
        try:
            return await delivery_keys(js, tail, client)
        except (NatsError, OSError) as error:
            log.warning("HISTORY could not be read; trying again", reason=str(error) or type(error).__name__)
            await pause(stop, 1.0)
    raise Stopped


async def delivery_keys(js: JetStreamContext, tail: int, client: str) -> list[str]:
    """The keys beginning with `client` of the newest `tail` messages, oldest first."""
    keys: list[str] = []
    async for message in _newest(js, tail):
        found = (key.delivery_key for key in _keys(message.data))
        keys.extend(key for key in found if key is not None and key.startswith(client))
    return keys


async def message_ids(js: JetStreamContext, tail: int) -> frozenset[str]:
    """The ids under which the newest `tail` messages were published."""
    return frozenset([(message.headers or {}).get(MESSAGE_ID, "") async for message in _newest(js, tail)])


async def _newest(js: JetStreamContext, tail: int) -> AsyncIterator[Msg]:
    """The newest `tail` messages of HISTORY, oldest first, once it has caught up with the journal."""
    last = await _caught_up(js)
    if last == 0 or tail == 0:
        return
    start = ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=max(last - tail + 1, 1))
    subscription = await js.subscribe("live.>", stream=HISTORY, ordered_consumer=True, config=start)
    try:
        while True:
            message = await subscription.next_msg(timeout=10)
            yield message
            place = message.metadata
            if place.sequence.stream >= last or not place.num_pending:
                return
    finally:
        await subscription.unsubscribe()


async def _caught_up(js: JetStreamContext) -> int:
    """HISTORY's last sequence, once its last message is at least as new as the journal's was at the call."""
    journal = await js.stream_info(JOURNAL)
    wanted, created = journal.state.last_seq, journal.created
    deadline = time.monotonic() + CATCH_UP_SECONDS
    while True:
        last = (await js.stream_info(HISTORY)).state.last_seq
        if wanted == 0 or (last and await _reaches(js, last, wanted, created)):
            return last
        if time.monotonic() > deadline:
            log.warning("HISTORY lags behind the journal; messages that the broker repeats may be published twice")
            return last
        await asyncio.sleep(0.05)


async def _reaches(js: JetStreamContext, last: int, wanted: int, created: datetime | None) -> bool:
    """Whether message `last` of HISTORY has journal sequence `wanted` or later, of the journal made at `created`."""
    try:
        message = await js.get_msg(HISTORY, last)
    except NotFoundError:
        return False
    there = int((message.headers or {}).get("Nats-Sequence", 0))
    return there >= wanted and (message.time is None or created is None or message.time >= created)
