"""One journal message on its way to clients. Decoded once, for what routing needs; its frames are made once a lane.

A lane is a way of receiving: message by message or in batches, all sensors or some. Knows no client.
"""

from typing import Final, NamedTuple

import msgspec
from seve_schema.envelope import Kind
from seve_schema.position import Position

from seve_broadcaster import wire


class Lane(NamedTuple):
    """How a client receives a module. `sensors` filters measurements only; None is all."""

    batch: bool = False
    sensors: frozenset[str] | None = None


class Head(msgspec.Struct, frozen=True, rename="camel"):
    """What of an envelope routing and state need."""

    topic: str
    received_at: str
    sensor_type: str | None = None
    hardware_id: str | None = None
    retained: bool = False


class Wire(NamedTuple):
    """What is written to a client of one lane: WebSocket frames back to back, how many, of how many envelopes."""

    data: bytes
    frames: int
    envelopes: int


NOTHING: Final = Wire(b"", 0, 0)
_parts: Final = msgspec.json.Decoder(list[msgspec.Raw])
_heads: Final = msgspec.json.Decoder(list[Head])


class Message:
    """What one NATS message brought: envelopes of one module and kind, at one journal position."""

    __slots__ = ("_wires", "heads", "kind", "module", "parts", "position", "size")

    def __init__(self, position: Position, module: str, kind: Kind, data: bytes) -> None:
        """Raises msgspec.DecodeError where `data` is no array of envelopes."""
        self.position = position
        self.module = module
        self.kind = kind
        self.size = len(data)
        self.parts = [bytes(part) for part in _parts.decode(data)]
        self.heads = _heads.decode(data)
        self._wires: dict[Lane, Wire] = {}

    def wire(self, lane: Lane) -> Wire:
        """The frames of a lane. Those without a filter are kept, for clients that come for them later."""
        if self.kind != "measurement" and lane.sensors is not None:
            lane = Lane(lane.batch)
        made = self._wires.get(lane)
        if made is None:
            made = self.wire_after(lane, -1)
            if lane.sensors is None:
                self._wires[lane] = made
        return made

    def wire_after(self, lane: Lane, place: int) -> Wire:
        """The frames of the envelopes behind a place of the message: for one who had it in part."""
        places = self._places(lane.sensors, place)
        if not places:
            return NOTHING
        if lane.batch:
            return Wire(wire.batch(str(wire.end_of(self.position)), [self.parts[at] for at in places]), 1, len(places))
        return Wire(wire.messages(self.position, places, self.parts), len(places), len(places))

    def _places(self, sensors: frozenset[str] | None, after: int) -> range | list[int]:
        if sensors is None or self.kind != "measurement":
            return range(after + 1, len(self.parts))
        return [at for at in range(after + 1, len(self.parts)) if self.heads[at].sensor_type in sensors]
