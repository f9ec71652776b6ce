"""Reads the messages of a stream once, in chunks, through an ephemeral consumer that NATS keeps in memory.

Acknowledges nothing, removes nothing, and does not wait for new messages.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import structlog
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from seve_runtime.errors import describe
from seve_runtime.nats.direct import DirectClient, NatsMessage
from seve_runtime.nats.pull import End, PullRequest, encode_request, end_of, parse_ack_subject, request_subject

log = structlog.get_logger()

CHUNK: Final = 500
"""Most messages per request. They are held in memory until the next request."""

CHUNK_BYTES: Final = 16 << 20
"""Most bytes per request. It exceeds NATS' limit for one message, so every message fits."""

CHUNK_SECONDS: Final = 5.0
"""Seconds that the server may take for a chunk."""

_LATE: Final = ("heartbeat", "completed")
"""Statuses that end no chunk. The server sends `completed` after the last message of a request, so it may arrive during
the next request.
"""

IDLE_SECONDS: Final = 60.0
"""Seconds after which NATS deletes the consumer of a reader that died."""


class StoredMessage(msgspec.Struct, frozen=True, gc=False):
    """A message with its sequence in the stream and the time at which it was stored, nanoseconds since 1970."""

    subject: str
    data: bytes
    sequence: int
    stored_ns: int


class Pass:
    """One reading of the stream. `pending` counts the messages not read yet, as of the last chunk."""

    def __init__(self, client: DirectClient, subject: str, inbox: str, pending: int) -> None:
        self.pending = pending
        self._client = client
        self._subject = subject
        self._inbox = inbox
        self._chunk: list[StoredMessage] = []
        self._left = 0
        self._fault = ""
        self._done = asyncio.Event()

    async def chunk(self) -> list[StoredMessage]:
        """Return the next messages in order; an empty list is the end. Raises nats.errors.Error and TimeoutError, which
        end the pass.
        """
        if not self.pending:
            return []
        self._chunk, self._fault = [], ""
        self._left = min(CHUNK, self.pending)
        self._done.clear()
        request = encode_request(PullRequest(self._left, CHUNK_BYTES, no_wait=True))
        self._client.publish_direct(self._subject, request, self._inbox)
        async with asyncio.timeout(CHUNK_SECONDS):
            await self._done.wait()
        if self._fault:
            raise NatsError(self._fault)
        return self._chunk

    def take(self, message: NatsMessage) -> None:
        """Handle a message from the server: one of the stream, or the early end of the request."""
        end = end_of(message)
        if end is None:
            ack = parse_ack_subject(message.reply)
            self._chunk.append(StoredMessage(message.subject, message.data, ack.sequence, ack.stored_ns))
            self.pending = ack.pending
            self._left -= 1
            if not self._left:
                self._done.set()
        elif end not in _LATE:
            self._ended(end, " ".join(message.status))

    def _ended(self, end: End, text: str) -> None:
        """Finish the chunk: the stream has no more messages, or the rest exceeds one request."""
        if not self._chunk and end == "expired":
            self.pending = 0
        elif not self._chunk:
            self._fault = text
        self._done.set()


@asynccontextmanager
async def reading(
    client: DirectClient, stream: str, *, start: int = 1, subjects: Sequence[str] = ()
) -> AsyncIterator[Pass]:
    """Open a pass over the messages of `subjects` (all if empty) from sequence `start` on."""
    js = client.jetstream()
    config = ConsumerConfig(
        filter_subjects=list(subjects) or None,
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=max(1, start),
        ack_policy=AckPolicy.NONE,
        mem_storage=True,
        num_replicas=1,
        inactive_threshold=IDLE_SECONDS,
    )
    consumer = await js.add_consumer(stream, config)
    name, inbox = str(consumer.name), client.new_inbox()
    stored = Pass(client, request_subject(stream, name), inbox, consumer.num_pending or 0)
    subscription = await client.subscribe_direct(inbox, stored.take)
    try:
        yield stored
    finally:
        try:
            await subscription.unsubscribe()
            await js.delete_consumer(stream, name)
        except (NatsError, TimeoutError) as error:  # NATS deletes it after IDLE_SECONDS
            log.debug("consumer of a reader not deleted", error=describe(error))
