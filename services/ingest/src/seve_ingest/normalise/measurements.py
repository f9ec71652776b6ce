"""Samples out of a measurement's payload, in each of the three ways a route may say it reads.

Gives values and the time as the device wrote it; believes neither the clock nor the range.
"""

from typing import Any, Final, NamedTuple

from seve_ingest.normalise import coerce, lenient_json
from seve_ingest.normalise.coerce import Notes
from seve_ingest.routing.routes import Match, Route

MAX_SAMPLES: Final = 256
"""Most samples of one message: a larger object of numbers is no device's report."""


class Reading(NamedTuple):
    """One sample: of which sensor, on which hardware, its value, and what else the device said with it."""

    sensor_type: str
    hardware_id: str | None
    value: float | None
    metadata: dict[str, Any] | None


class Readings(NamedTuple):
    """The samples of one message and its time as the device wrote it."""

    samples: list[Reading]
    time: Any


def time_of(route: Route, value: dict[str, Any]) -> Any:
    """The time of an object as the device wrote it, under the first of the route's keys that is there."""
    return next((value[key] for key in route.time if key in value), None)


def read(match: Match, payload: bytes, notes: Notes) -> Readings:
    """The samples of a measurement. Raises lenient_json.Malformed."""
    value = _value(payload, notes)
    if match.route.payload == "numbers":
        return _numbers(match, value, notes)
    if isinstance(value, dict) and match.route.payload == "value":
        return _object(match, value, notes)
    if value == []:
        notes.append("no_value")
        value = None
    return Readings([_reading(match, coerce.number(value, notes))], None)


def _value(payload: bytes, notes: Notes) -> Any:
    """The JSON value of a body that looks like an object or an array, else its text: `coerce.number` reads that."""
    start = payload.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if start in (b"{", b"["):
        return lenient_json.decode(payload, notes)
    text = lenient_json.decode_text(payload, notes).strip("\ufeff \t\r\n\x00")
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return text[1:-1]
    try:
        return float(text) if text.isascii() and "_" not in text else text
    except ValueError:
        return None if text == "null" else text


def _object(match: Match, value: dict[str, Any], notes: Notes) -> Readings:
    route = match.route
    if route.value in value:
        found = coerce.number(value[route.value], notes)
    else:
        notes.append("no_value")
        found = None
    others = {key: item for key, item in value.items() if key != route.value and key not in route.time}
    return Readings([_reading(match, found, others or None)], time_of(route, value))


def _reading(match: Match, value: float | None, metadata: dict[str, Any] | None = None) -> Reading:
    return Reading(str(match.sensor_type), match.hardware_id, value, metadata)


def _numbers(match: Match, value: Any, notes: Notes) -> Readings:
    """Every number of an object, one sample each. A nested object names the hardware; other values are no samples."""
    if not isinstance(value, dict):
        raise lenient_json.Malformed("an object of numbers was expected")
    route = match.route
    samples: list[Reading] = []
    _collect(value, match.hardware_id, {*route.omit, *route.time}, samples, notes)
    if len(samples) > MAX_SAMPLES:
        raise lenient_json.Malformed(f"more than {MAX_SAMPLES} numbers")
    return Readings(samples, time_of(route, value))


def _collect(value: dict[str, Any], hardware: str | None, omit: set[str], into: list[Reading], notes: Notes) -> None:
    for key, item in value.items():
        if key in omit:
            continue
        name = coerce.name(key, notes)
        if name is None:
            continue
        if isinstance(item, dict):
            under = coerce.name(name if hardware is None else f"{hardware}.{name}", notes)
            if under is not None:
                _collect(item, under, omit, into, notes)
        elif isinstance(item, bool | int | float) or (isinstance(item, str) and coerce.is_number(item)):
            into.append(Reading(name, hardware, coerce.number(item, notes), None))
