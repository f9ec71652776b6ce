"""HISTORY as a part of the journal: read in the journal's sequences, told what it still holds. Reads; decides nothing.

HISTORY stores what `live.>` carried, in order, each message with the journal's sequence in a header. Its own sequences
run ahead of the journal's by a constant as long as it missed nothing, so the newest pair tells where to begin; what it
did miss only makes the beginning too early. Messages of a journal that was replaced lie before its creation.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

import structlog
from msgspec import DecodeError
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, RawStreamMsg
from nats.js.client import JetStreamContext as Context
from nats.js.errors import NotFoundError
from seve_runtime.topology import HISTORY, JOURNAL
from seve_schema.position import Position
from seve_schema.subjects import SubjectError, parse_subject
from seve_schema.times import to_micros

from seve_broadcaster.message import Message

log = structlog.get_logger()

LIVE: Final = "live.>"
SEQUENCE: Final = "Nats-Sequence"
CHUNK: Final = 500
"""Messages read in one go, and held until they are sent."""

FETCH_SECONDS: Final = 5.0
IDLE_SECONDS: Final = 60.0
"""After how long NATS forgets a reader that died."""


class Extent(NamedTuple):
    """What HISTORY holds of a journal. `first` and `last` are HISTORY's sequences, `newest` the journal's of the last
    message (0: none of this journal). `removed` counts all that ever went, `holes` those between first and last.
    """

    first: int
    last: int
    newest: int
    removed: int
    holes: int
    empty: bool

    def where(self, sequence: int) -> int:
        """HISTORY's sequence of a journal sequence; too early rather than too late."""
        return max(self.first, min(self.last + 1, self.last - (self.newest - sequence)))

    @property
    def oldest(self) -> int:
        """The journal sequence from which nothing is missing, unless there are holes."""
        return self.newest - (self.last - self.first)


async def journal_end(js: JetStreamContext) -> Position:
    """The position of the newest message of the journal."""
    info = await js.stream_info(JOURNAL)
    assert info.created is not None  # noqa: S101  (every stream has a time of creation)
    return Position(to_micros(info.created), info.state.last_seq)


class Reader:
    """One pass over HISTORY behind a journal sequence. `pending` is what it has not read yet, as of the last chunk."""

    def __init__(self, subscription: Context.PullSubscription, journal: int, pending: int) -> None:
        self._subscription = subscription
        self._journal = journal
        self.pending = pending

    async def chunk(self) -> list[Message]:
        """The next messages, in order; none where HISTORY ends. Raises nats.errors.Error and TimeoutError."""
        if not self.pending:
            return []
        found = await self._subscription.fetch(min(CHUNK, self.pending), timeout=FETCH_SECONDS)
        self.pending = int(found[-1].reply.rsplit(".", 1)[1])
        return [message for stored in found if (message := self._read(stored))]

    def _read(self, stored: Msg) -> Message | None:
        stored_at = int(stored.reply.rsplit(".", 2)[1]) // 1000
        return read(stored, self._journal) if stored_at >= self._journal else None


class History:
    """The replay stream."""

    def __init__(self, js: JetStreamContext) -> None:
        self._js = js

    async def extent(self, journal: int) -> Extent:
        """What is held of the journal created at `journal`."""
        state = (await self._js.stream_info(HISTORY)).state
        newest = await self._get(state.last_seq) if state.messages else None
        sequence = _sequence(newest.headers) if newest and _of(newest, journal) else 0
        span = state.last_seq - state.first_seq + 1
        removed, holes = state.last_seq - state.messages, span - state.messages
        return Extent(state.first_seq, state.last_seq, sequence, removed, holes, empty=not state.messages)

    async def first(self, subject: str, journal: int) -> int | None:
        """The journal sequence of the oldest message of a subject; 0 where it is an older journal's, None for none."""
        found = await self._get(1, subject)
        if found is None:
            return None
        return _sequence(found.headers) if _of(found, journal) else 0

    @asynccontextmanager
    async def reading(self, journal: int, after: int, subjects: Sequence[str]) -> AsyncIterator[Reader]:
        """A pass over messages of `subjects` behind a journal sequence; earlier ones may come first."""
        extent = await self.extent(journal)
        start = extent.where(after + 1) if extent.newest else extent.first
        config = ConsumerConfig(
            filter_subjects=list(subjects),
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=max(1, start),
            ack_policy=AckPolicy.NONE,
            mem_storage=True,
            num_replicas=1,
            inactive_threshold=IDLE_SECONDS,
        )
        consumer = await self._js.add_consumer(HISTORY, config)
        subscription = await self._js.pull_subscribe_bind(consumer=consumer.name, stream=HISTORY)
        try:
            yield Reader(subscription, journal, consumer.num_pending or 0)
        finally:
            await self._close(subscription, str(consumer.name))

    async def _close(self, subscription: Context.PullSubscription, name: str) -> None:
        try:
            await subscription.unsubscribe()
            await self._js.delete_consumer(HISTORY, name)
        except (NatsError, TimeoutError) as error:  # NATS forgets it by itself, in a minute
            log.debug("history consumer not deleted", error=str(error) or type(error).__name__)

    async def _get(self, sequence: int, subject: str | None = None) -> RawStreamMsg | None:
        try:
            return await self._js.get_msg(HISTORY, seq=sequence, subject=subject, next=subject is not None)
        except NotFoundError:
            return None


def read(stored: Msg, journal: int) -> Message:
    """A message of `live.>`, with an empty one for what cannot be read: its place in the stream it has all the same."""
    position = Position(journal, _sequence(stored.headers))
    try:
        module, kind = parse_subject(stored.subject)
        return Message(position, module, kind, stored.data)
    except (DecodeError, SubjectError, UnicodeError) as error:
        log.warning("unreadable message", subject=stored.subject, sequence=position.sequence, error=str(error))
        return Message(position, "", "other", b"[]")


def _sequence(headers: dict[str, str] | None) -> int:
    return int((headers or {}).get(SEQUENCE, 0))


def _of(message: RawStreamMsg, journal: int) -> bool:
    return message.time is not None and to_micros(message.time) >= journal
