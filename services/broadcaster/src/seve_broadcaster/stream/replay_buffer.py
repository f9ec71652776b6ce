"""Keeps the newest messages of the stream in memory, for clients that resume. Older messages are in the journal.

Bound: `limit` bytes, overhead included; overflow rule: drop the oldest; gauge: `recent_bytes`. Messages are kept as
they arrived and decoded again when a client needs them. The last `DECODED` ones are cached, since many clients resume
at once.
"""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec
from seve_schema.envelope import Kind
from seve_schema.position import WHOLE, Position, Token

from seve_broadcaster.stream.message import Message

OVERHEAD: Final = 250
"""Bytes of memory that a held message takes in addition to its data."""

DECODED: Final = 64
"""Most decoded messages in the cache."""

_TRIM: Final = 4096


class Gap(NamedTuple):
    """Messages behind `start`, up to and including `position`, that this broadcaster never received."""

    start: Position
    position: Position


class _Held(msgspec.Struct, gc=False):
    """A message as it arrived. Tens of thousands are kept, so the garbage collector does not visit them."""

    journal: int
    sequence: int
    kind: Kind
    received_at: str
    data: bytes

    @property
    def position(self) -> Position:
        return Position(self.journal, self.sequence)


_GONE: Final = Gap(Position(0, 0), Position(0, 0))
"""Takes the place of a dropped item."""


def _position(item: "_Held | Gap") -> Position:
    return item.position


class ReplayBuffer:
    """Everything behind `floor`, in order. `size` is in bytes."""

    def __init__(self, limit: int, floor: Position) -> None:
        self.limit = limit
        self.floor = floor
        self.size = 0
        self._items: list[_Held | Gap] = []
        self._first = 0
        self._decoded: dict[Position, Message] = {}

    def __len__(self) -> int:
        return len(self._items) - self._first

    def restart(self, floor: Position) -> None:
        """Drop everything; the next messages lie behind `floor`."""
        self._items.clear()
        self._first = 0
        self.size = 0
        self.floor = floor

    def append(self, item: Message | Gap) -> None:
        """Add the next item; drop the oldest while the limit is exceeded, but never the newest."""
        if isinstance(item, Gap):
            self._items.append(item)
        else:
            received_at = item.heads[0].received_at if item.heads else ""
            self._items.append(_Held(*item.position, item.kind, received_at, item.data))
        self.size += _size(self._items[-1])
        while self.size > self.limit and len(self) > 1:
            oldest = self._items[self._first]
            self.size -= _size(oldest)
            self.floor = oldest.position
            self._items[self._first] = _GONE  # frees its bytes now; its place is freed later, with many others
            self._first += 1
            if self._first >= _TRIM:
                del self._items[: self._first]
                self._first = 0

    def reaches(self, token: Token) -> bool:
        """Return whether everything behind `token` is held."""
        return token.position > self.floor or (token.position == self.floor and token.place == WHOLE)

    def before(self, moment: str) -> Position:
        """Return the position of the newest held message received before `moment` (RFC 3339), or the floor."""
        for item in reversed(self._items[self._first :]):
            if isinstance(item, _Held) and item.received_at and item.received_at < moment:
                return item.position
        return self.floor

    def after(self, token: Token) -> Iterator[Message | Gap]:
        """Yield the items behind `token`, beginning with the token's own message if it names only a part of it."""
        at = bisect_left(self._items, token.position, lo=self._first, key=_position)
        while at < len(self._items):
            item = self._items[at]
            if item.position != token.position or token.place != WHOLE:
                yield item if isinstance(item, Gap) else self._decode(item)
            at += 1

    def _decode(self, item: _Held) -> Message:
        message = self._decoded.get(item.position)
        if message is None:
            message = Message.decode(item.position, item.kind, item.data)
            self._decoded[item.position] = message
            if len(self._decoded) > DECODED:
                del self._decoded[next(iter(self._decoded))]
        return message


def _size(item: _Held | Gap) -> int:
    return OVERHEAD if isinstance(item, Gap) else OVERHEAD + len(item.data)
