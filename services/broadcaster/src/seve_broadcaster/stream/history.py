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
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError
from seve_runtime.nats.direct import DirectClient, Frame
from seve_runtime.nats.stream_reader import Pass, reading
from seve_runtime.nats.topology import HISTORY, JOURNAL
from seve_schema.position import Position
from seve_schema.subjects import SubjectError, parse_subject
from seve_schema.times import to_micros

from seve_broadcaster.stream.message import Message
from seve_broadcaster.stream.replay_buffer import Gap, Item

log = structlog.get_logger()

LIVE: Final = "live.>"
SEQUENCE: Final = "Nats-Sequence"


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
    """One pass over HISTORY behind a journal sequence; where it is `whole`, over every subject."""

    def __init__(self, stored: Pass, journal: int, *, whole: bool) -> None:
        self._stored = stored
        self._journal = journal
        self._whole = whole
        self._before: tuple[int, int] | None = None

    async def chunk(self) -> list[Item]:
        """The next messages, in order; none where HISTORY ends. Raises nats.errors.Error and TimeoutError.

        Where everything is read, a gap stands for what HISTORY never got: the journal's sequences jump further than its
        own do. What it got and dropped since is not told; that is judged by subject.
        """
        while found := await self._stored.chunk():
            items: list[Item] = []
            for stored in found:
                if stored.stored_ns // 1000 >= self._journal:
                    message = read(stored.frame, Position(self._journal, sequence_of(stored.frame)))
                    items += self._missed(stored.sequence, message.position)
                    items.append(message)
            if items:
                return items
        return []

    def _missed(self, own: int, position: Position) -> list[Gap]:
        before, self._before = self._before, (own, position.sequence)
        if not self._whole or before is None or position.sequence - before[1] <= own - before[0]:
            return []
        return [Gap(Position(self._journal, before[1]), Position(self._journal, position.sequence - 1))]


class History:
    """The replay stream."""

    def __init__(self, client: DirectClient) -> None:
        self._client = client
        self._js = client.jetstream()

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
        """A pass over messages of `subjects` behind a journal sequence; earlier and others may come as well."""
        extent = await self.extent(journal)
        start = extent.where(after + 1) if extent.newest else extent.first
        if extent.newest and await self._lacks(extent, start, journal):
            subjects = (LIVE,)
        async with reading(self._client, HISTORY, start=start, subjects=subjects) as stored:
            yield Reader(stored, journal, whole=LIVE in subjects)

    async def _lacks(self, extent: Extent, start: int, journal: int) -> bool:
        """Whether HISTORY never got some of what it should hold from its sequence `start` on."""
        found = await self._get(start, LIVE)
        if found is None or found.seq is None or not _of(found, journal):
            return False
        return extent.newest - _sequence(found.headers) > extent.last - found.seq

    async def _get(self, sequence: int, subject: str | None = None) -> RawStreamMsg | None:
        try:
            return await self._js.get_msg(HISTORY, seq=sequence, subject=subject, next=subject is not None)
        except NotFoundError:
            return None


def read(frame: Frame, position: Position) -> Message:
    """A message of `live.>`, with an empty one for what cannot be read: its place in the stream it has all the same."""
    try:
        module, kind = parse_subject(frame.subject)
        return Message.of(position, module, kind, frame.data)
    except (DecodeError, SubjectError, UnicodeError) as error:
        log.warning("unreadable message", subject=frame.subject, sequence=position.sequence, error=str(error))
        return Message.of(position, "", "other", b"[]")


def sequence_of(frame: Frame) -> int:
    """The journal's sequence of a message of `live.>`; 0 where it has none."""
    return int(frame.header(SEQUENCE) or 0)


def _sequence(headers: dict[str, str] | None) -> int:
    return int((headers or {}).get(SEQUENCE, 0))


def _of(message: RawStreamMsg, journal: int) -> bool:
    return message.time is not None and to_micros(message.time) >= journal
