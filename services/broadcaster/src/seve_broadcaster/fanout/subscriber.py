"""One client as a cursor over the stream: its grant, its subscriptions and its position.

The hub pushes every message to a live client. A client that is behind catches up at the pace of its connection. A slow
client gets nothing until its buffer has emptied. Messages are queued only in the connection's buffer. Does no I/O: a
sink does.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from seve_schema.position import Position, Token

from seve_broadcaster.auth.grants import Grant
from seve_broadcaster.protocol.requests import EVERYTHING, Slow
from seve_broadcaster.snapshot.snapshot import Entry


class Sink(Protocol):
    """Takes the bytes for a client. Writing never blocks and never fails; the gateway watches the connection's
    buffer.
    """

    def write(self, data: bytes) -> None:
        """Send whole WebSocket frames."""

    def end(self, code: int, reason: str) -> None:
        """Close the connection with a close code."""


class Pace(Enum):
    """How a client receives the stream."""

    LIVE = "live"
    BEHIND = "behind"
    SLOW = "slow"


@dataclass(slots=True)
class Subscription:
    """The module, or all modules (`*`), that a client receives by one name. `sensors` limits the measurements; None is
    all. Messages up to `floor` are not sent: the client has them already, or did not ask for them.
    """

    sensors: frozenset[str] | None = None
    floor: Token | None = None

    def owes(self, position: Position) -> bool:
        """Return whether a message lies behind the floor, or a part of it does."""
        return self.floor is None or position > self.floor.position

    def raise_floor(self, token: Token) -> None:
        """Leave out messages up to `token`, too."""
        self.floor = token if self.floor is None else max(self.floor, token)


@dataclass(slots=True)
class PendingSnapshot:
    """The newest values of one subscription's modules, to be sent to a client whose position is `seq`.

    Only values behind `after` and not behind `until`: newer ones arrive as messages. Values are looked up when they are
    sent, so that a waiting snapshot holds names and no values.
    """

    name: str
    modules: deque[str]
    seq: str
    after: Token
    until: Token
    entries: deque[Entry] = field(default_factory=deque)


@dataclass(slots=True, eq=False)
class Subscriber:
    """One connection. `cursor` is the token up to which it has everything; while it is live, that is the head.

    `changes` counts its requests: a replay of the journal begins again when the client asked for something else.
    """

    sink: Sink
    grant: Grant
    cursor: Token
    batch: bool = False
    slow: Slow = "conflate"
    pace: Pace = Pace.LIVE
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    pending: deque[bytes | PendingSnapshot] = field(default_factory=deque)
    greeting: bool = False
    missed: int = 0
    changes: int = 0

    def subscription(self, module: str) -> Subscription | None:
        """Return the subscription that covers a module: by its name, or by `*`."""
        return self.subscriptions.get(module) or self.subscriptions.get(EVERYTHING)

    def owed_before(self, position: Position) -> bool:
        """Return whether any subscription lacks messages up to `position`."""
        return any(one.floor is None or one.floor.position < position for one in self.subscriptions.values())
