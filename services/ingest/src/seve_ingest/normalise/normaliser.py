"""Turns one MQTT message into a verdict: encoded envelopes, or a reason why there are none. Pure: does no I/O and
counts nothing. No bytes that a device sends make it raise. Keeps two bounded caches.
"""

import math
from typing import Any, Final

import msgspec
from seve_schema.codec import encode
from seve_schema.envelope import Envelope
from seve_schema.times import MICROS, format_time

from seve_ingest.mqtt.framing import MAX_PACKET, MAX_PAYLOAD, Cut
from seve_ingest.normalise import lenient_json, measurements, reports, timestamps
from seve_ingest.normalise.coerce import Notes
from seve_ingest.normalise.fast_path import MAX_PLAIN, TIME_MISSING, FastPath
from seve_ingest.normalise.samples import Sample, time_of
from seve_ingest.normalise.timestamps import Moment
from seve_ingest.normalise.topics import CACHE_BYTES, Place, Topics
from seve_ingest.normalise.verdict import IgnoredReason, Rejection, Verdict
from seve_ingest.routing.routes import Match, RouteTable

__all__ = ["IgnoredReason", "Normaliser", "Place", "Rejection", "Verdict"]

_ANY: Final = (-math.inf, math.inf)


class Normaliser:
    """The rules of one ingest. `ranges` has the least and the greatest value by sensor type; `retention` is in seconds;
    `prefix` is removed from every topic before routing; `cache_bytes` bounds the cache of topics.
    """

    def __init__(
        self,
        routes: RouteTable,
        *,
        retention: float,
        ranges: dict[str, tuple[float, float]] | None = None,
        prefix: str = "",
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self._retention = int(retention * MICROS)
        self._ranges = ranges or {}
        self._fast_path = FastPath(self._retention)
        self._encode = self._fast_path.encode
        self._topics = Topics(routes, ranged=frozenset(self._ranges), prefix=prefix, cache_bytes=cache_bytes)

    def __call__(
        self, topic: bytes, payload: bytes, *, received_at: int, retained: bool = False, key: str | None = None
    ) -> Verdict:
        """Return the verdict on one message. `received_at` is in microseconds since 1970; `key` is the delivery key
        without its index. The key must consist of ASCII letters and digits, because it is not escaped.
        """
        if not retained:
            plain = self.plain(topic, payload, received_at, "null" if key is None else f'"{key}:0"')
            if plain is not None:
                return Verdict((plain[0],), "measurement", None, None, () if plain[1] else TIME_MISSING)
        place = self._topics[topic]
        notes: Notes = []
        try:
            verdict = self._judge(_Context(place, received_at, format_time(received_at), retained, key), payload, notes)
        except lenient_json.Malformed as error:
            verdict = Verdict(rejection=Rejection("malformed", str(error)))
        return msgspec.structs.replace(verdict, repairs=tuple(notes)) if notes else verdict

    def plain(self, topic: bytes, payload: bytes, received_at: int, key: str) -> tuple[bytes, bool] | None:
        """Return the envelope of a plain sample that is not retained, and whether it has a time of its own (if not, its
        repair is TIME_MISSING). None for any other message. `key` is the delivery key as JSON, with its index.
        """
        head = self._topics[topic].head
        if head is None or len(payload) > MAX_PLAIN or type(payload) is not bytes:
            return None
        return self._encode(head, payload, received_at, key)

    def place(self, topic: bytes) -> Place:
        """Return the meaning of a topic."""
        return self._topics[topic]

    @property
    def topics_cached(self) -> int:
        """The number of cached topics."""
        return self._topics.cached

    def _judge(self, context: "_Context", payload: bytes, notes: Notes) -> Verdict:
        place = context.place
        if place.verdict and place.verdict.ignored:
            return place.verdict
        if not payload:
            return Verdict(ignored="cleared")
        if place.verdict:
            return place.verdict
        if len(payload) > MAX_PAYLOAD or isinstance(payload, Cut):
            return Verdict(rejection=_too_large(payload))
        notes.extend(place.repairs)
        match = place.match
        assert match is not None  # noqa: S101  (a place without a match has a verdict)
        if match.route.kind == "measurement":
            return self._measurement(context, match, payload, notes)
        return self._state(context, match, payload, notes)

    def _measurement(self, context: "_Context", match: Match, payload: bytes, notes: Notes) -> Verdict:
        samples = measurements.read(match, payload, notes)
        if not samples:
            return Verdict(ignored="empty")
        moments = timestamps.moments((sample.time for sample in samples), context.received_at, notes)
        if context.retained and all(moment.clock == "server" for moment in moments):
            return Verdict(ignored="retained")
        if len(samples) > 1:
            _hold_distinct(samples, moments)
        rejection: Rejection | None = None
        encoded = []
        for index, (sample, moment) in enumerate(zip(samples, moments, strict=True)):
            if context.retained and moment.clock == "server":
                continue
            if fault := self._refused(sample, moment, context.received_at):
                rejection = rejection or fault
            if fault is None or fault.reason == "not_a_number":
                encoded.append(_envelope(context, index, moment, sample))
        return Verdict(tuple(encoded), "measurement", rejection)

    def _refused(self, sample: Sample, moment: Moment, received_at: int) -> Rejection | None:
        """Return why a sample is refused. One that is not a number is published as null and also kept as a dead
        letter.
        """
        if moment.micros < received_at - self._retention:
            return _too_old(moment)
        least, most = self._ranges.get(sample.sensor_type, _ANY)
        if sample.value is not None and not least <= sample.value <= most:
            fault = f"{sample.sensor_type} {sample.value:g} is not within {least:g} to {most:g}"
            return Rejection("out_of_range", fault)
        return Rejection("not_a_number", f"{sample.sensor_type} is no number") if sample.unread else None

    def _state(self, context: "_Context", match: Match, payload: bytes, notes: Notes) -> Verdict:
        body = reports.read(match.route, payload, notes)
        time = time_of(match.route, body) if isinstance(body, dict) else None
        moment = Moment(context.received_at, "server")
        if time is not None:
            moment = timestamps.moment(time, context.received_at, notes)
            if moment.micros < context.received_at - self._retention:
                return Verdict(rejection=_too_old(moment))
        data = _envelope(context, 0, moment, metadata=body)
        return Verdict((data,), context.place.kind)


class _Context(msgspec.Struct, frozen=True):
    """The fields that all envelopes of one message share."""

    place: Place
    received_at: int
    received: str
    retained: bool
    key: str | None


def _hold_distinct(samples: list[Sample], moments: list[Moment]) -> None:
    """Raise Malformed if two samples of a series get the time of receipt as theirs: all but one would be lost."""
    seen = set()
    for sample, moment in zip(samples, moments, strict=True):
        series = (sample.sensor_type, sample.hardware_id, moment.micros)
        if moment.clock == "server" and series in seen:
            raise lenient_json.Malformed(f"several samples of {sample.sensor_type} without a time of their own")
        seen.add(series)


def _too_large(payload: bytes) -> Rejection:
    size = payload.size if isinstance(payload, Cut) else len(payload)
    if size > MAX_PAYLOAD:
        return Rejection("too_large", f"{size} bytes, at most {MAX_PAYLOAD}")
    return Rejection("too_large", f"a packet of more than {MAX_PACKET} bytes")


def _too_old(moment: Moment) -> Rejection:
    return Rejection("too_old", f"{format_time(moment.micros)} is past the retention")


def _envelope(
    context: _Context, index: int, moment: Moment, sample: Sample | None = None, *, metadata: Any = None
) -> bytes:
    place = context.place
    return encode(
        Envelope(
            topic=place.topic,
            module_id=place.module_id,
            kind=place.kind,
            sensor_type=sample.sensor_type if sample else None,
            hardware_id=sample.hardware_id if sample else None,
            value=sample.value if sample else None,
            time=format_time(moment.micros),
            clock=moment.clock,
            received_at=context.received,
            metadata=sample.metadata if sample else metadata,
            delivery_key=None if context.key is None else f"{context.key}:{index}",
            retained=context.retained,
        )
    )
