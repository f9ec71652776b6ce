"""Follows the end of a stream for a person who watches: asks for new messages twice per second, and never falls behind.

Acknowledges nothing. Of the new messages it reads at most one chunk, the newest. It skips and counts the others, so the
cost for the server is bounded at any rate of messages.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final, NamedTuple

from nats.errors import Error as NatsError

from seve_runtime.nats.direct import DirectClient
from seve_runtime.nats.stream_info import StreamState, stream_info
from seve_runtime.nats.stream_reader import CHUNK, StoredMessage, reading

EVERY: Final = 0.5
"""Seconds between two requests for new messages."""

_PATIENCE: Final = 5.0
"""Seconds that the server may take to answer."""


class News(NamedTuple):
    """The newest messages since the last request, and the number of those before them that were skipped."""

    messages: list[StoredMessage]
    passed_over: int


async def follow(client: DirectClient, stream: str) -> AsyncGenerator[News, None]:
    """Yield the messages that a stream stores from now on, without end. Raises nats errors and TimeoutError."""
    after = (await _state(client, stream)).last_seq
    while True:
        await asyncio.sleep(EVERY)
        last = (await _state(client, stream)).last_seq
        if last <= after:
            after = last  # if lower: the stream was recreated
            continue
        start = max(after, last - CHUNK) + 1
        async with reading(client, stream, start=start) as stored:
            messages = await stored.chunk()
        passed_over, after = start - after - 1, messages[-1].sequence if messages else last
        yield News(messages, passed_over)


async def _state(client: DirectClient, stream: str) -> StreamState:
    info = await stream_info(client, stream, patience=_PATIENCE)
    if info.state is None:
        raise NatsError(f"{stream}: {info.error.description if info.error else 'no answer'}")
    return info.state
