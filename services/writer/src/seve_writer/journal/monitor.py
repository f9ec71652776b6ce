"""Watches the journal: whether it was recreated, how far the writers are behind, and how much of its history to purge.

Purges stored messages beyond HISTORY_MAX_BYTES; changes nothing else. Every writer purges on its own: a purge up to a
sequence that is already gone does nothing.
"""

import time
from typing import Final

import msgspec
import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import APIError, NotFoundError
from seve_runtime.errors import describe
from seve_runtime.lifecycle import Stop, pause
from seve_runtime.nats.stream_info import StreamState, stream_info
from seve_runtime.nats.topology import JOURNAL, WRITER

from seve_writer import metrics
from seve_writer.errors import JournalReplaced
from seve_writer.journal.consumer import Consumer
from seve_writer.journal.purge import purge_before

log = structlog.get_logger()

EVERY: Final = 2.0
"""Seconds between looks."""

_ANSWER: Final = 5.0
_PATIENCE: Final = 1.0
"""Seconds that an answer may take: `_ANSWER` between flushes, `_PATIENCE` while a batch waits for it."""


class Monitor:
    """`journal` is when the journal was created, in microseconds since 1970: the first half of every position. `floor`
    is the sequence up to which writers had acknowledged it at the last look. `ack_wait` is that of the consumer, in
    seconds: `setup` configured it, and this writer's setting may differ. `history` is how many bytes of stored messages
    the journal keeps.
    """

    def __init__(self, client: Client, history: int) -> None:
        self._client = client
        self._js = client.jetstream()
        self._history = history
        self.journal = 0
        self.floor = 0
        self.ack_wait = 0.0

    async def look(self) -> None:
        """Read the state of the journal and its consumer, set the gauges, purge. Raises nats errors, and
        JournalReplaced.
        """
        stream = await stream_info(self._client, JOURNAL, patience=_ANSWER)
        if stream.state is None:
            raise APIError(description=stream.error.description if stream.error else "no state of the journal")
        created = stream.created_at
        if self.journal not in (0, created):
            raise JournalReplaced(self.journal, created)
        self.journal = created
        consumer = await self._js.consumer_info(JOURNAL, WRITER)
        self.ack_wait = consumer.config.ack_wait or 30.0
        unstored = (consumer.num_pending or 0) + (consumer.num_ack_pending or 0)
        floor = self.floor = consumer.ack_floor.stream_seq if consumer.ack_floor else 0
        metrics.JOURNAL_SEQUENCE.set(stream.state.last_seq)
        metrics.JOURNAL_BYTES.set(stream.state.bytes)
        metrics.JOURNAL_LIMIT.set(stream.config.max_bytes)
        metrics.LAG.set(unstored)
        metrics.ACK_PENDING.set(consumer.num_ack_pending or 0)
        metrics.OLDEST_SECONDS.set(await self._age(floor + 1) if unstored else 0.0)
        await self._purge(stream.state, floor)

    async def created_at(self) -> int | None:
        """Return when the current journal was created, or None if NATS does not answer or there is no journal."""
        if not self._client.is_connected:
            return None
        try:
            stream = await stream_info(self._client, JOURNAL, patience=_PATIENCE)
        except (NatsError, OSError) as error:
            log.warning("the journal's state cannot be read", error=describe(error))
            return None
        return stream.created_at if stream.created else None

    async def run(self, stop: Stop, consumer: Consumer) -> None:
        """Look every few seconds until `stop`. Raises JournalReplaced, after `consumer` has stopped acknowledging: the
        sequences that it holds name other messages of the new journal.
        """
        while not await pause(stop, EVERY):
            try:
                await self.look()
            except JournalReplaced:
                consumer.stop_acknowledging()
                raise
            except (NatsError, OSError, msgspec.DecodeError) as error:
                log.warning("the journal's state cannot be read", error=describe(error))

    async def _age(self, sequence: int) -> float:
        """Return the age of the journal's first message from `sequence` on, in seconds; 0 if there is none."""
        try:
            message = await self._js.get_msg(JOURNAL, sequence, next=True, subject=">")
        except NotFoundError:
            return 0.0
        return max(0.0, time.time() - message.time.timestamp()) if message.time else 0.0

    async def _purge(self, state: StreamState, ack_floor: int) -> None:
        before = purge_before(
            first=state.first_seq,
            messages=state.messages,
            size=state.bytes,
            ack_floor=ack_floor,
            history=self._history,
        )
        if before is not None:
            await self._js.purge_stream(JOURNAL, seq=before)
            metrics.PURGED.inc(before - state.first_seq)
