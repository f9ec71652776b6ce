"""One client as a cursor over the stream: what it may see, what it asked for, and how far it has come.

A live client is pushed every message; one that is behind walks up to the head at the pace of its connection; a slow one
is owed what it missed. Nothing is queued for a client but what its connection buffers. Does no I/O: a sink does.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from seve_schema.position import Position, Token

from seve_broadcaster.auth.grants import Grant
from seve_broadcaster.protocol.requests import EVERYTHING, Slow
from seve_broadcaster.snapshot.snapshot import Entry
from seve_broadcaster.stream.message import Lane


class Sink(Protocol):
    """Where a client's bytes go. Writing never blocks and never fails; the buffer behind it is watched elsewhere."""

    def write(self, data: bytes) -> None:
        """Send bytes that are whole WebSocket frames."""

    def end(self, code: int, reason: str) -> None:
        """Close the connection with a close code."""


class Pace(Enum):
    """Where a client is."""

    LIVE = "live"
    BEHIND = "behind"
    SLOW = "slow"


@dataclass(slots=True)
class Subscription:
    """Modules that a client receives by one name. What lies up to `floor` it has, or will not get; `lost` has the
    floors of single modules and kinds.
    """

    sensors: frozenset[str] | None = None
    floor: Token | None = None
    lost: dict[tuple[str, str], Token] | None = None

    def floor_of(self, module: str, kind: str) -> Token | None:
        """Up to where nothing of a module and kind is owed."""
        return (self.lost and self.lost.get((module, kind))) or self.floor

    def owes(self, module: str, kind: str, position: Position) -> bool:
        """Whether a message lies behind the floor, in whole or in part."""
        floor = self.floor_of(module, kind)
        return floor is None or position > floor.position

    def raise_floor(self, token: Token) -> None:
        """Nothing up to `token` is owed any more."""
        self.floor = token if self.floor is None else max(self.floor, token)


@dataclass(slots=True)
class States:
    """Entries of a module as they were at one turn, on their way to a client that stands at `seq`."""

    module: str
    seq: str
    entries: deque[Entry]


@dataclass(slots=True, eq=False)
class Client:
    """One connection. `cursor` says up to where it has everything, unless it is live: then it has all there is.

    `changes` counts what it asked for: who reads HISTORY for it begins again when that is something else.
    """

    sink: Sink
    grant: Grant
    cursor: Token
    batch: bool = False
    slow: Slow = "conflate"
    pace: Pace = Pace.LIVE
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    pending: deque[bytes | States] = field(default_factory=deque)
    greeting: bool = False
    missed: int = 0
    changes: int = 0

    def subscription(self, module: str) -> Subscription | None:
        """What the client asked of a module: by its name, or by `*`."""
        return self.subscriptions.get(module) or self.subscriptions.get(EVERYTHING)

    def lane(self, subscription: Subscription) -> Lane:
        """How messages of a subscription are sent."""
        return Lane(self.batch, subscription.sensors)
