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
    """Modules that a client receives by one name. It has what lies up to `floor`, or will not get it."""

    sensors: frozenset[str] | None = None
    floor: Token | None = None

    def owes(self, position: Position) -> bool:
        """Whether a message lies behind the floor, in whole or in part."""
        return self.floor is None or position > self.floor.position

    def raise_floor(self, token: Token) -> None:
        """Owe nothing up to `token` any more."""
        self.floor = token if self.floor is None else max(self.floor, token)


@dataclass(slots=True)
class Snapshot:
    """The newest values of the modules of one subscription, on their way to a client that stands at `seq`.

    Only those behind `after` and not behind `until`: what is newer than that comes as news. Values are looked up when
    they are sent, so that a snapshot that waits costs its names and no values.
    """

    name: str
    modules: deque[str]
    seq: str
    after: Token
    until: Token
    entries: deque[Entry] = field(default_factory=deque)


@dataclass(slots=True, eq=False)
class Subscriber:
    """One connection. `cursor` says up to where it has everything, unless it is live: then it has all there is.

    `changes` counts its requests: whoever reads the journal for it begins again when it asked for something else.
    """

    sink: Sink
    grant: Grant
    cursor: Token
    batch: bool = False
    slow: Slow = "conflate"
    pace: Pace = Pace.LIVE
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    pending: deque[bytes | Snapshot] = field(default_factory=deque)
    greeting: bool = False
    missed: int = 0
    changes: int = 0

    def subscription(self, module: str) -> Subscription | None:
        """Return what the client asked of a module: by its name, or by `*`."""
        return self.subscriptions.get(module) or self.subscriptions.get(EVERYTHING)

    def owed_before(self, position: Position) -> bool:
        """Whether any subscription is owed messages up to `position`."""
        return any(one.floor is None or one.floor.position < position for one in self.subscriptions.values())
