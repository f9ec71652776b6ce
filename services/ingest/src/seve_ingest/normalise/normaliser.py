"""One MQTT message in, its verdict out: envelopes, or a reason why there are none. Pure and total: whatever the bytes,
it returns; nothing a device sends makes it raise. Does no I/O, counts nothing and keeps nothing but a cache of topics.
"""

import math
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta
from seve_schema.deadletter import IngestReason
from seve_schema.envelope import Clock, Envelope, Kind
from seve_schema.subjects import telemetry_subject
from seve_schema.times import MICROS, format_time, to_micros

from seve_ingest.mqtt.framing import MAX_PAYLOAD, Cut
from seve_ingest.normalise import lenient_json, measurements, reports, timestamps
from seve_ingest.normalise.coerce import MAX_LEVEL_BYTES, Notes, clean
from seve_ingest.routing.routes import Match, RouteTable

_CACHED_TOPICS: Final = 65_536
_CACHED_TOPIC_BYTES: Final = 256

_ANY: Final = (-math.inf, math.inf)

IgnoredReason = Literal["cleared", "retained", "route", "empty", "sys"]


class _Sample(msgspec.Struct, forbid_unknown_fields=True):
    """The plainest measurement, and by far the most frequent: `{"value": 450.5, "time": "..."}` and nothing else."""

    value: float
    time: Annotated[datetime, Meta(tz=True)]


_sample: Final = msgspec.json.Decoder(_Sample).decode


class Rejection(msgspec.Struct, frozen=True):
    """Why a message goes to the dead letters, and in which words."""

    reason: IngestReason
    error: str


class Verdict(msgspec.Struct, frozen=True):
    """What became of one message. `envelopes` go to `subject`; `rejection` may stand beside them, where only some of a
    message's samples could be used; `ignored` says why there is neither.
    """

    envelopes: tuple[Envelope, ...] = ()
    subject: str = ""
    rejection: Rejection | None = None
    ignored: IgnoredReason | None = None
    repairs: tuple[str, ...] = ()


class Place(msgspec.Struct, frozen=True):
    """What a topic means, worked out once: its cleaned text, its route's match and subject, or why it has none."""

    topic: str
    match: Match | None = None
    subject: str = ""
    verdict: Verdict | None = None
    plain: bool = False
    repairs: tuple[str, ...] = ()
    module_id: str = ""
    kind: Kind = "other"
    sensor: str | None = None
    hardware: str | None = None


class Normaliser:
    """The rules of one ingest. `ranges` are least and most by sensor type; `retention` is seconds; `prefix` stands
    before every topic and is taken off before routing.
    """

    def __init__(
        self,
        routes: RouteTable,
        *,
        retention: float,
        ranges: dict[str, tuple[float, float]] | None = None,
        prefix: str = "",
    ) -> None:
        self._routes = routes
        self._retention = int(retention * MICROS)
        self._ranges = ranges or {}
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._places: dict[bytes, Place] = {}

    def __call__(
        self, topic: bytes, payload: bytes, *, received_at: int, retained: bool = False, key: str | None = None
    ) -> Verdict:
        """The verdict on one message; `received_at` in microseconds, `key` the delivery key without its index."""
        place = self._places.get(topic) or self._learn(topic)
        if place.plain and not retained:
            try:
                found = _sample(payload)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                pass  # anything but the plainest sample: the rules below say what it is
            else:
                micros = to_micros(found.time)
                if timestamps.YEAR_2000 <= micros <= received_at + timestamps.MOST_AHEAD and not self._too_old(
                    micros, received_at
                ):
                    context = _Context(place, received_at, micros, "device", retained, key)
                    return Verdict((_envelope(context, 0, place.sensor, place.hardware, found.value),), place.subject)
        notes: Notes = []
        try:
            context = _Context(place, received_at, received_at, "server", retained, key)
            verdict = self._judge(context, payload, notes)
        except lenient_json.Malformed as error:
            verdict = Verdict(rejection=Rejection("malformed", str(error)))
        return msgspec.structs.replace(verdict, repairs=tuple(notes)) if notes else verdict

    def place(self, topic: bytes) -> Place:
        """What a topic means."""
        return self._places.get(topic) or self._learn(topic)

    def _learn(self, topic: bytes) -> Place:
        place = self._placed(topic)
        if len(topic) <= _CACHED_TOPIC_BYTES:
            if len(self._places) >= _CACHED_TOPICS:
                self._places.clear()
            self._places[topic] = place
        return place

    def _placed(self, topic: bytes) -> Place:
        notes: Notes = []
        cleaned = clean(lenient_json.decode_text(topic, notes), notes)
        fault = tuple(notes)
        if cleaned.startswith("$"):
            return Place(cleaned, verdict=Verdict(ignored="sys"))
        levels = cleaned.removeprefix(self._prefix).split("/")
        if refusal := _refusal(levels):
            return Place(cleaned, verdict=Verdict(rejection=Rejection("bad_topic", refusal), repairs=fault))
        match = self._routes.match(levels)
        if match is None or match.route.kind == "ignored":
            return Place(cleaned, match, verdict=Verdict(ignored="route"))
        kind = match.route.kind
        keys = (match.route.payload, match.route.value, match.route.time)
        plain = kind == "measurement" and keys == ("value", "value", ("time",)) and not notes
        return Place(
            cleaned,
            match,
            telemetry_subject(match.module_id, kind),
            plain=plain and not self._ranges.get(str(match.sensor_type)),
            repairs=fault,
            module_id=match.module_id,
            kind=kind,
            sensor=match.sensor_type,
            hardware=match.hardware_id,
        )

    def _too_old(self, micros: int, received_at: int) -> bool:
        return micros < received_at - self._retention

    def _judge(self, context: "_Context", payload: bytes, notes: Notes) -> Verdict:
        place = context.place
        if place.verdict and place.verdict.ignored:
            return place.verdict
        if not payload:
            return Verdict(ignored="cleared")
        if place.verdict:
            return place.verdict
        if len(payload) > MAX_PAYLOAD:
            size = payload.size if isinstance(payload, Cut) else len(payload)
            return Verdict(rejection=Rejection("too_large", f"{size} bytes, at most {MAX_PAYLOAD}"))
        notes.extend(place.repairs)
        match = place.match
        assert match is not None  # noqa: S101  (a place without a match has a verdict)
        if match.route.kind == "measurement":
            return self._measurement(context, match, payload, notes)
        return self._state(context, match, payload, notes)

    def _measurement(self, context: "_Context", match: Match, payload: bytes, notes: Notes) -> Verdict:
        samples, time = measurements.read(match, payload, notes)
        if not samples:
            return Verdict(ignored="empty")
        context = _clocked(context, time, notes)
        if context.retained and context.clock == "server":
            return Verdict(ignored="retained")
        if self._too_old(context.micros, context.received_at):
            return Verdict(rejection=self._age(context))
        rejection: Rejection | None = None
        envelopes = []
        for index, (sensor, hardware, value, metadata) in enumerate(samples):
            if fault := self._outside(sensor, value):
                rejection = Rejection("out_of_range", fault)
            else:
                envelopes.append(_envelope(context, index, sensor, hardware, value, metadata=metadata))
        return Verdict(tuple(envelopes), context.place.subject, rejection)

    def _outside(self, sensor: str, value: float | None) -> str | None:
        least, most = self._ranges.get(sensor, _ANY)
        if value is None or least <= value <= most:
            return None
        return f"{sensor} {value:g} is not within {least:g} to {most:g}"

    def _age(self, context: "_Context") -> Rejection:
        return Rejection("too_old", f"{format_time(context.micros)} is past the retention")

    def _state(self, context: "_Context", match: Match, payload: bytes, notes: Notes) -> Verdict:
        found = reports.read(match.route, payload, notes)
        time = measurements.time_of(match.route, found) if isinstance(found, dict) else None
        if time is not None:
            context = _clocked(context, time, notes)
            if self._too_old(context.micros, context.received_at):
                return Verdict(rejection=self._age(context))
        return Verdict((_envelope(context, 0, None, None, None, metadata=found),), context.place.subject)


class _Context(msgspec.Struct, frozen=True):
    """What all envelopes of one message share."""

    place: Place
    received_at: int
    micros: int
    clock: Clock
    retained: bool
    key: str | None


def _clocked(context: _Context, time: Any, notes: Notes) -> _Context:
    micros = timestamps.device_time(time, context.received_at, notes)
    return context if micros is None else msgspec.structs.replace(context, micros=micros, clock="device")


def _envelope(
    context: _Context,
    index: int,
    sensor: str | None,
    hardware: str | None,
    value: float | None,
    *,
    metadata: Any = None,
) -> Envelope:
    place = context.place
    return Envelope(
        topic=place.topic,
        module_id=place.module_id,
        kind=place.kind,
        sensor_type=sensor,
        hardware_id=hardware,
        value=value,
        time=format_time(context.micros),
        clock=context.clock,
        received_at=format_time(context.received_at),
        metadata=metadata,
        delivery_key=None if context.key is None else f"{context.key}:{index}",
        retained=context.retained,
    )


def _refusal(levels: list[str]) -> str | None:
    if len(levels) < 2:
        return "a topic needs two levels at least"
    if "" in levels:
        return "a level is empty"
    if any(len(level) > 32 and len(level.encode()) > MAX_LEVEL_BYTES for level in levels):
        return f"a level is longer than {MAX_LEVEL_BYTES} bytes"
    return None
