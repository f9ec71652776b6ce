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
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import StreamState
from nats.js.errors import NotFoundError
from seve_runtime.errors import Stopped
from seve_runtime.lifecycle import Stop, pause
from seve_runtime.nats.direct import DirectClient, Frame
from seve_runtime.nats.stream_reader import reading
from seve_runtime.nats.topology import HISTORY, JOURNAL

from seve_ingest.publish.deliveries import KNOWN_BEFORE

log = structlog.get_logger()

CATCH_UP_SECONDS: Final = 15.0
"""How long HISTORY may lag behind the journal: usually milliseconds; a HISTORY made anew never catches up."""


MESSAGE_ID: Final = "Nats-Msg-Id"

FIRST_STRETCH: Final = 500


class _Key(msgspec.Struct, rename="camel"):
    delivery_key: str | None = None


_keys: Final = msgspec.json.Decoder(list[_Key]).decode


async def known_keys(client: DirectClient, stop: Stop, tail: int, prefix: str) -> list[str]:
    """As `delivery_keys`, tried again until NATS answers or `stop` is set."""
    while not stop.is_set():
        try:
            return await delivery_keys(client, tail, prefix)
        except (NatsError, OSError) as error:
            log.warning("HISTORY could not be read; trying again", reason=str(error) or type(error).__name__)
            await pause(stop, 1.0)
    raise Stopped


async def delivery_keys(client: DirectClient, tail: int, prefix: str) -> list[str]:
    """The keys beginning with `prefix` of the newest `tail` messages, oldest first; no more than can be remembered."""
    keys: list[str] = []
    digests: set[str] = set()
    async for start, end in _stretches(client, tail):
        stretch: list[str] = []
        async for message in _read(client, start, end):
            found = (key.delivery_key for key in _keys(message.data))
            stretch.extend(key for key in found if key is not None and key.startswith(prefix))
        keys = stretch + keys
        digests.update(key.rpartition(":")[0] for key in stretch)
        if len(digests) >= KNOWN_BEFORE:
            break
    return keys


async def held_ids(client: DirectClient, tail: int, ids: set[str]) -> set[str]:
    """Those of `ids` under which one of the newest `tail` messages was published."""
    held: set[str] = set()
    async for start, end in _stretches(client, tail):
        async for message in _read(client, start, end):
            name = message.header(MESSAGE_ID)
            if name in ids:
                held.add(name)
        if held == ids:
            break
    return held


async def _stretches(client: DirectClient, tail: int) -> AsyncIterator[tuple[int, int]]:
    """First and last sequences of stretches of HISTORY from its end backwards, each twice as long as the one before: a
    message may hold one envelope or hundreds, so that nobody knows how far back is far enough.
    """
    state = await _caught_up(client.jetstream())
    end, size = state.last_seq, FIRST_STRETCH
    while state.messages and end >= state.first_seq and tail > 0:
        start = max(end - min(size, tail) + 1, state.first_seq)
        yield start, end
        tail -= end - start + 1
        end, size = start - 1, 2 * size


async def _read(client: DirectClient, start: int, end: int) -> AsyncIterator[Frame]:
    """The messages of HISTORY from sequence `start` to `end`, as far as they are still there."""
    async with reading(client, HISTORY, start=start) as stored:
        while chunk := await stored.chunk():
            for message in chunk:
                if message.sequence > end:
                    return
                yield message.frame


async def _caught_up(js: JetStreamContext) -> StreamState:
    """HISTORY's state, once its last message is at least as new as the journal's was at the call."""
    journal = await js.stream_info(JOURNAL)
    wanted, created = journal.state.last_seq, journal.created
    deadline = time.monotonic() + CATCH_UP_SECONDS
    while True:
        state = (await js.stream_info(HISTORY)).state
        if wanted == 0 or (state.messages and await _reaches(js, state.last_seq, wanted, created)):
            return state
        if time.monotonic() > deadline:
            log.warning("HISTORY lags behind the journal; messages that the broker repeats may be published twice")
            return state
        await asyncio.sleep(0.05)


async def _reaches(js: JetStreamContext, last: int, wanted: int, created: datetime | None) -> bool:
    """Whether message `last` of HISTORY has journal sequence `wanted` or later, of the journal made at `created`."""
    try:
        message = await js.get_msg(HISTORY, last)
    except NotFoundError:
        return False
    there = int((message.headers or {}).get("Nats-Sequence", 0))
    return there >= wanted and (message.time is None or created is None or message.time >= created)
