"""Reads the journal's creation time and extent, and decodes its messages. Follows nothing."""

from typing import NamedTuple

import structlog
from msgspec import DecodeError
from nats.js import JetStreamContext
from seve_runtime.errors import describe
from seve_runtime.nats.direct import Frame
from seve_runtime.nats.topology import JOURNAL
from seve_schema.position import Position
from seve_schema.subjects import SubjectError, parse_subject
from seve_schema.times import to_micros

from seve_broadcaster.stream.message import Message

log = structlog.get_logger()


class Extent(NamedTuple):
    """The journal's creation time (microseconds since 1970), and the sequences of its oldest and newest message.

    `first` is `last + 1` in an empty journal.
    """

    journal: int
    first: int
    last: int

    @property
    def end(self) -> Position:
        """The position of the newest message."""
        return Position(self.journal, self.last)


async def journal_extent(js: JetStreamContext) -> Extent:
    """Request the journal's extent. Raises nats.errors.Error and TimeoutError."""
    info = await js.stream_info(JOURNAL)
    assert info.created is not None  # noqa: S101  (every stream has a time of creation)
    return Extent(to_micros(info.created), max(1, info.state.first_seq), info.state.last_seq)


def read_message(frame: Frame, position: Position) -> Message:
    """Decode a message of the journal; an unreadable one becomes a message without envelopes."""
    try:
        _, kind = parse_subject(frame.subject)
        return Message.decode(position, kind, frame.data)
    except (DecodeError, SubjectError, UnicodeError) as error:
        log.warning("unreadable message", subject=frame.subject, sequence=position.sequence, error=describe(error))
        return Message.unreadable(position)
