"""Reads back the delivery keys of the newest messages in the journal, by which ingest recognises redeliveries after a
restart. Publishes nothing.
"""

from collections.abc import AsyncIterator
from typing import Final, NamedTuple

import msgspec
import structlog
from nats.errors import Error as NatsError
from seve_runtime.errors import Stopped, describe
from seve_runtime.lifecycle import Stop, pause
from seve_runtime.nats.direct import DirectClient
from seve_runtime.nats.stream_reader import reading
from seve_runtime.nats.topology import JOURNAL
from seve_schema.subjects import JOURNAL_PREFIX, ingest_name

from seve_ingest.publish.redelivery import REMEMBERED, KnownKey, client_digest, delivery_keys

log = structlog.get_logger()

FIRST_STRETCH: Final = 500


class Published(NamedTuple):
    """The delivery `keys` of published messages, newest first, and the `end` of the journal when they were read."""

    keys: list[KnownKey]
    end: int


async def published_before(client: DirectClient, stop: Stop, client_id: str, tail: int) -> Published:
    """Call `read_back` until NATS answers. Raises Stopped if `stop` is set first."""
    while not stop.is_set():
        try:
            return await read_back(client, client_id, tail)
        except (NatsError, OSError) as error:
            log.warning("the journal cannot be read yet", reason=describe(error))
            await pause(stop, 1.0)
    raise Stopped


async def read_back(client: DirectClient, client_id: str, tail: int) -> Published:
    """Read the keys of the newest `tail` envelopes that the ingest of `client_id` published, newest first, of at most
    REMEMBERED messages. A message without an envelope is skipped and logged.
    """
    subjects = [f"{JOURNAL_PREFIX}.{ingest_name(client_id)}.>"]
    digest = client_digest(client_id)
    keys: list[KnownKey] = []
    messages: set[tuple[int, str]] = set()
    state = (await client.jetstream().stream_info(JOURNAL)).state
    first = state.first_seq if state.messages else state.last_seq + 1
    async for data in _newest_first(client, subjects, first, state.last_seq):
        if tail <= 0 or len(messages) >= REMEMBERED:
            break
        texts = _decode(data)
        tail -= len(texts)
        known = [known for key in reversed(texts) if key and (known := KnownKey.of(key, digest))]
        keys += known
        messages.update((each.mid, each.content) for each in known)
    return Published(keys, state.last_seq)


def _decode(data: bytes) -> list[str | None]:
    try:
        return delivery_keys(data)
    except msgspec.DecodeError as error:
        log.warning("a message in the journal is no envelope", error=describe(error))
        return []


async def _newest_first(client: DirectClient, subjects: list[str], first: int, end: int) -> AsyncIterator[bytes]:
    """Yield the messages of the journal from `end` backwards to `first`, in ranges, each twice as long as the one
    before: a message may hold one envelope or hundreds, so it is unknown how far back to read.
    """
    size = FIRST_STRETCH
    while end >= first:
        start = max(end - size + 1, first)
        for data in reversed(await _read(client, subjects, start, end)):
            yield data
        end, size = start - 1, 2 * size


async def _read(client: DirectClient, subjects: list[str], start: int, end: int) -> list[bytes]:
    """Return the messages from sequence `start` to `end`, as far as the journal still holds them."""
    stretch: list[bytes] = []
    async with reading(client, JOURNAL, start=start, subjects=subjects) as stored:
        while chunk := await stored.chunk():
            stretch += [each.data for each in chunk if each.sequence <= end]
            if chunk[-1].sequence >= end:
                break
    return stretch
