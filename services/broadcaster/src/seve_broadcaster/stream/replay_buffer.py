"""The newest stretch of the stream in memory, for clients that are a little behind. Bounded in bytes; the oldest goes.

Holds messages and declared gaps in order. What is no longer here must be read from HISTORY, which is not done here.
"""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Final, NamedTuple

from seve_schema.position import Position, Token

from seve_broadcaster.protocol.frames import WHOLE
from seve_broadcaster.stream.message import Message

_TRIM: Final = 4096


class Gap(NamedTuple):
    """Messages behind `start`, up to and including `position`, that this broadcaster will never have."""

    start: Position
    position: Position

    @property
    def size(self) -> int:
        """Bytes held, roughly."""
        return 100


Item = Message | Gap


def _position(item: Item) -> Position:
    return item.position


class Recent:
    """Everything behind `floor`, in order. `size` counts the bytes that arrived; frames made of them come on top."""

    def __init__(self, limit: int, floor: Position) -> None:
        self.limit = limit
        self.floor = floor
        self.size = 0
        self._items: list[Item] = []
        self._first = 0

    def __len__(self) -> int:
        return len(self._items) - self._first

    def restart(self, floor: Position) -> None:
        """Let go of everything; what follows lies behind `floor`."""
        self._items.clear()
        self._first = 0
        self.size = 0
        self.floor = floor

    def append(self, item: Item) -> None:
        """Add what follows on everything held; the oldest goes where the limit is passed, the newest stays."""
        self._items.append(item)
        self.size += item.size
        while self.size > self.limit and len(self) > 1:
            oldest = self._items[self._first]
            self.size -= oldest.size
            self.floor = oldest.position
            self._first += 1
            if self._first >= _TRIM:
                del self._items[: self._first]
                self._first = 0

    def reaches(self, token: Token) -> bool:
        """Whether all that lies behind `token` is held."""
        return token.position > self.floor or (token.position == self.floor and token.place == WHOLE)

    def before(self, moment: str) -> Position:
        """The position behind which lies what was received at `moment` or later, as far as it is held."""
        for item in reversed(self._items[self._first :]):
            if isinstance(item, Message) and item.heads and item.heads[0].received_at < moment:
                return item.position
        return self.floor

    def after(self, token: Token) -> Iterator[Item]:
        """What lies behind `token`, beginning with its own message where that was had in part."""
        at = bisect_left(self._items, token.position, lo=self._first, key=_position)
        while at < len(self._items):
            item = self._items[at]
            if item.position != token.position or token.place != WHOLE:
                yield item
            at += 1
