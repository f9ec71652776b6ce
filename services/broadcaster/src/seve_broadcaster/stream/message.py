"""One journal message on its way to clients. Decoded once, for what routing needs; its frames are made once a lane.

A lane is a way of receiving: message by message or in batches, all sensors or some. Knows no client.
"""

from typing import Final, NamedTuple, Self

import msgspec
from seve_schema.envelope import Kind
from seve_schema.position import Position

from seve_broadcaster.protocol import frames


class Lane(NamedTuple):
    """How a client receives a module. `sensors` filters measurements only; None is all."""

    batch: bool = False
    sensors: frozenset[str] | None = None


class Head(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """What of an envelope routing and state need."""

    topic: str
    received_at: str
    sensor_type: str | None = None
    hardware_id: str | None = None
    retained: bool = False


class Wire(msgspec.Struct, frozen=True, gc=False):
    """What is written to a client of one lane: WebSocket frames back to back, how many, of how many envelopes."""

    data: bytes
    frames: int
    envelopes: int


NOTHING: Final = Wire(b"", 0, 0)
_SINGLE: Final = Lane()
_BATCH: Final = Lane(batch=True)
_parts: Final = msgspec.json.Decoder(list[msgspec.Raw])
_heads: Final = msgspec.json.Decoder(tuple[Head, ...])


class Message(msgspec.Struct, gc=False):
    """What one NATS message brought: envelopes of one module and kind, at one journal position.

    Tens of thousands are held at a time, and have nothing for the garbage collector to visit: a full collection with
    them took half a second once, which every client saw.
    """

    journal: int
    sequence: int
    module: str
    kind: Kind
    size: int
    parts: tuple[bytes, ...]
    heads: tuple[Head, ...]
    single: Wire | None = None
    batch: Wire | None = None

    @classmethod
    def of(cls, position: Position, module: str, kind: Kind, data: bytes) -> Self:
        """Raises msgspec.DecodeError where `data` is no array of envelopes."""
        parts = tuple([bytes(part) for part in _parts.decode(data)])
        return cls(*position, module, kind, len(data), parts, _heads.decode(data))

    @property
    def position(self) -> Position:
        """Where it stands in the journal. Made when it is asked for: a tuple a message would be for the collector."""
        return Position(self.journal, self.sequence)

    def count(self, lane: Lane) -> int:
        """How many of its envelopes a lane carries."""
        return len(self._places(lane.sensors, -1))

    def wire(self, lane: Lane) -> Wire:
        """The frames of a lane. Those without a filter are kept, for clients that come for them later."""
        if lane.sensors is not None and self.kind == "measurement":
            return self.wire_after(lane, -1)
        if lane.batch:
            self.batch = self.batch or self.wire_after(_BATCH, -1)
            return self.batch
        self.single = self.single or self.wire_after(_SINGLE, -1)
        return self.single

    def wire_after(self, lane: Lane, place: int) -> Wire:
        """The frames of the envelopes behind a place of the message: for one who had it in part."""
        places = self._places(lane.sensors, place)
        if not places:
            return NOTHING
        if lane.batch:
            return Wire(
                frames.batch(str(frames.end_of(self.position)), [self.parts[at] for at in places]), 1, len(places)
            )
        return Wire(frames.messages(self.position, places, self.parts), len(places), len(places))

    def _places(self, sensors: frozenset[str] | None, after: int) -> range | list[int]:
        if sensors is None or self.kind != "measurement":
            return range(after + 1, len(self.parts))
        return [at for at in range(after + 1, len(self.parts)) if self.heads[at].sensor_type in sensors]
