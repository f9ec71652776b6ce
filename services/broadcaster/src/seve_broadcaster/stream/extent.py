"""Requests the journal's creation time, and its first and last sequence. Reads no message."""

from typing import NamedTuple

from nats.js import JetStreamContext
from seve_runtime.nats.topology import JOURNAL
from seve_schema.position import Position
from seve_schema.times import to_micros


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
