"""Reads the samples from a measurement's payload, in the form that its route names.

Returns values and times as the device wrote them; checks neither clocks nor ranges.
"""

from typing import Any

from seve_ingest.normalise import batches, coerce, lenient_json, senml
from seve_ingest.normalise.coerce import Notes
from seve_ingest.normalise.samples import MAX_SAMPLES, Sample, own_sample, time_of
from seve_ingest.routing.routes import Match


def read(match: Match, payload: bytes, notes: Notes) -> list[Sample]:
    """Return the samples of a measurement. Raises lenient_json.Malformed."""
    value = _value(payload, notes)
    if match.route.payload == "numbers":
        return _numbers(match, value, notes)
    if match.route.payload == "value":
        if isinstance(value, list):
            return _array(match, value, notes)
        if isinstance(value, dict):
            return _object(match, value, notes)
    return [own_sample(match, value, None, None, notes)]


def _value(payload: bytes, notes: Notes) -> Any:
    """Return the JSON value of a body that looks like an object or an array; else its text, for `coerce.number`."""
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


def _object(match: Match, value: dict[str, Any], notes: Notes) -> list[Sample]:
    route = match.route
    own = value.get(route.value)
    if route.value not in value or isinstance(own, list):
        if isinstance(value.get("v"), list) and "dt" in value:
            return batches.series(match, value, notes)
        if isinstance(value.get("values"), list):
            return batches.pairs(match, value, notes)
    others = {key: item for key, item in value.items() if key != route.value and key not in route.time}
    sample = own_sample(match, own, time_of(route, value), others or None, notes)
    if route.value not in value:
        notes.append("no_value")
        sample = sample._replace(unread=bool(others))
    return [sample]


def _array(match: Match, value: list[Any], notes: Notes) -> list[Sample]:
    """Read an array of objects with a value and a time each, or a SenML pack. Any other array has no times:
    Malformed.
    """
    if not all(isinstance(item, dict) for item in batches.bounded(value)):
        raise lenient_json.Malformed(
            'an array of values has no times: send [{"value", "time"}, ...], {"values": [[time, value], ...]} or '
            '{"t0", "dt", "v": [...]}'
        )
    if senml.is_pack(value, match.route.value):
        return senml.read(match, value, notes)
    return batches.objects(match, value, notes)


def _numbers(match: Match, value: Any, notes: Notes) -> list[Sample]:
    """Return a sample for every number of an object. A nested object names the hardware; other values are ignored."""
    if not isinstance(value, dict):
        raise lenient_json.Malformed("an object of numbers was expected")
    route = match.route
    result: list[Sample] = []
    _collect(value, match.hardware_id, {*route.omit, *route.time}, result, notes)
    if len(result) > MAX_SAMPLES:
        raise lenient_json.Malformed(f"{len(result)} numbers, at most {MAX_SAMPLES}")
    time = time_of(route, value)
    return [each._replace(time=time) for each in result]


def _collect(value: dict[str, Any], hardware: str | None, omit: set[str], into: list[Sample], notes: Notes) -> None:
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
            into.append(Sample(name, hardware, coerce.number(item, notes)))
