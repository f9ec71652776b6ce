"""A model of the devices' MQTT broker, of which one session is ingest's: what it has in flight comes again until it is
acknowledged, and a kill sends it back to what it had saved.

`Mosquitto` keeps packet identifiers and sends what is in flight again in order when ingest connects. `NatsListener`
sends it again after its ack wait, behind newer messages; where that crosses the acknowledgement, under a new
identifier; and after a restart everything has another identifier, and may come without DUP. See decision 0109.
"""

from collections import deque
from random import Random
from typing import TYPE_CHECKING, Protocol

import msgspec
from seve_ingest.mqtt.framing import DUP, Arrival

from simulation.clock import VirtualLoop
from simulation.link import Link

if TYPE_CHECKING:
    from collections.abc import Callable

QOS1 = 0x32
IDENTIFIERS = 65_535


class Message(msgspec.Struct, eq=False, gc=False):
    """What a device published: `numbers` name its samples. `dropped` says that a kill took it from the broker.

    What decision 0109 does not promise: `forgotten` counts how often a kill of the broker made it send the message anew
    and not as a repetition, although ingest had acknowledged it; `came_back` how often one made it send an acknowledged
    message again; `renumbered` how often a restart gave it another identifier; `orphaned` says that the ingest that had
    published it ended before it acknowledged it. `unanswered` counts how often a journal that held it was deleted
    before ingest had acknowledged it: it is published to the next one as well.
    """

    topic: bytes
    payload: bytes
    numbers: tuple[int, ...]
    kind: str
    timed: bool = False
    poison: bool = False
    malformed: bool = False
    acknowledged: bool = False
    dropped: bool = False
    forgotten: int = 0
    came_back: int = 0
    renumbered: int = 0
    orphaned: bool = False
    unanswered: int = 0


class Session(Protocol):
    """What the broker sees of ingest."""

    def connected(self, *, session_present: bool) -> None: ...
    def arrived(self, arrival: Arrival) -> None: ...
    def lost(self) -> None: ...


class Mosquitto:
    """`on_acknowledged` is told of each message whose PUBACK is taken."""

    def __init__(self, loop: VirtualLoop, rng: Random, window: int) -> None:
        self._loop = loop
        self._rng = rng
        self._window = window
        self._mid = 0
        self._session: Session | None = None
        self._known = False
        self._saved: tuple[int, list[Message], dict[int, Message], bool] = (0, [], {}, False)
        self.queue: deque[Message] = deque()
        self.in_flight: dict[int, Message] = {}
        self.link = Link(loop, rng)
        self.alive = True
        self.on_acknowledged: Callable[[Message], None] = lambda _: None

    @property
    def empty(self) -> bool:
        """Whether nothing is queued or in flight."""
        return not (self.queue or self.in_flight)

    def publish(self, message: Message) -> bool:
        """Take a message from a device; return whether the broker is there to take it."""
        if self.alive:
            self.queue.append(message)
            self._pump()
        return self.alive

    def connect(self, session: Session) -> bool:
        """Open the connection of ingest; return whether the broker is there."""
        if not self.alive:
            return False
        if self.link.up:
            self.cut()
        self.link.open()
        self._session = session
        present, self._known = self._known, True
        self.link.back(lambda: session.connected(session_present=present))
        self._reconnected()
        self._pump()
        return True

    def _reconnected(self) -> None:
        for mid, message in self.in_flight.items():
            self._send(mid, message, dup=True)

    def cut(self) -> None:
        """Lose the connection."""
        if self.link.up:
            self.link.cut()
            session, self._session = self._session, None
            if session is not None:
                session.lost()

    def acknowledge(self, mids: list[int]) -> None:
        """Send PUBACKs from ingest."""
        for mid in mids:
            if message := self.in_flight.get(mid):
                message.acknowledged = True
            self.link.there(self._taken, mid)

    def _taken(self, mid: int) -> None:
        message = self.in_flight.pop(mid, None)
        if message is not None:
            self.on_acknowledged(message)
            self._pump()

    def _pump(self) -> None:
        while self.link.up and self.queue and len(self.in_flight) < self._window:
            message = self.queue.popleft()
            self._give(message, dup=False)

    def _give(self, message: Message, *, dup: bool) -> None:
        """Send a message under the next free identifier."""
        self._mid = self._mid % IDENTIFIERS + 1
        while self._mid in self.in_flight:
            self._mid = self._mid % IDENTIFIERS + 1
        self.in_flight[self._mid] = message
        self._send(self._mid, message, dup=dup)

    def _send(self, mid: int, message: Message, *, dup: bool) -> None:
        session = self._session
        if session is not None:
            arrival = Arrival(message.topic, message.payload, mid, QOS1 | (DUP if dup else 0))
            self.link.back(session.arrived, arrival)

    def save(self) -> None:
        """Write the session down."""
        self._saved = (self._mid, list(self.queue), dict(self.in_flight), self._known)

    def kill(self) -> None:
        """Go back to what was saved. What came since then is lost; what was acknowledged since then comes again."""
        self.alive = False
        self.cut()
        sent = list(self.in_flight.values())
        before = [*self.queue, *sent]
        self._mid, queue, self.in_flight, self._known = self._saved
        if not self._known:  # without a session, nothing is kept for it
            queue, self.in_flight = [], {}
        self.queue, self.in_flight = deque(queue), dict(self.in_flight)
        now = [*self.queue, *self.in_flight.values()]
        for message in before:
            message.dropped = message.dropped or message not in now
        for message in self.queue:
            message.forgotten += message.acknowledged
            message.renumbered += message in sent
        for message in self.in_flight.values():
            message.came_back += message.acknowledged

    def start(self) -> None:
        self.alive = True


class NatsListener(Mosquitto):
    """nats-server as the devices' broker: it loses no message, but what it knows of identifiers."""

    ACK_WAIT = 3.0

    def __init__(self, loop: VirtualLoop, rng: Random, window: int) -> None:
        super().__init__(loop, rng, window)
        self._on_way: set[int] = set()
        self._unmarked: set[int] = set()

    def _reconnected(self) -> None:
        for mid in self.in_flight:
            self._loop.call_later(self._rng.random() * self.ACK_WAIT, self._again, mid, self.link.generation)

    def _send(self, mid: int, message: Message, *, dup: bool) -> None:
        super()._send(mid, message, dup=dup)
        self._loop.call_later(self.ACK_WAIT, self._again, mid, self.link.generation)

    def _again(self, mid: int, generation: int) -> None:
        message = self.in_flight.get(mid)
        if message is None or generation != self.link.generation or not self.link.up:
            return
        if mid in self._on_way:  # the acknowledgement crosses the redelivery, which gets a new identifier
            del self.in_flight[mid]
            self._give(message, dup=True)
        else:
            self._send(mid, message, dup=mid not in self._unmarked)
            self._unmarked.discard(mid)

    def acknowledge(self, mids: list[int]) -> None:
        self._on_way.update(mids)
        super().acknowledge(mids)

    def _taken(self, mid: int) -> None:
        self._on_way.discard(mid)
        super()._taken(mid)

    def cut(self) -> None:
        super().cut()
        self._on_way.clear()

    def save(self) -> None:
        """It writes each message down before it takes it."""

    def kill(self) -> None:
        self.alive = False
        self.cut()

    def start(self) -> None:
        """Number anew what is in flight; some of it is not known to have been sent."""
        self.alive = True
        sent = list(self.in_flight.values())
        self.in_flight, self._mid = {}, 0
        for message in sent:
            message.forgotten += message.acknowledged
            message.renumbered += 1
            self._mid += 1
            self.in_flight[self._mid] = message
        self._unmarked = {mid for mid in self.in_flight if self._rng.random() < 0.5}
