"""Normalises reports about a device: converts each field of `seve_schema.device_reports` to its type, and keeps others.

It reads the structs themselves, so a field added there is normalised here. Adds no key: absent fields stay absent.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, Final, get_args, get_origin

import msgspec
from msgspec import Meta
from seve_schema import device_reports

from seve_ingest.normalise import coerce, lenient_json
from seve_ingest.normalise.coerce import Notes, clean
from seve_ingest.routing.routes import Route

MAX_SENSORS: Final = 256
"""Most sensors of one report: each becomes a row that no retention deletes."""

Convert = Callable[[Any, Notes], Any]

BODIES: Final[dict[str, type[msgspec.Struct]]] = {
    "system.status": device_reports.SystemStatus,
    "system.config": device_reports.SystemConfig,
    "hardware.config": device_reports.HardwareConfig,
    "presence": device_reports.Presence,
}
PER_SENSOR: Final[dict[str, type[msgspec.Struct]]] = {
    "sensors.status": device_reports.SensorStatus,
    "sensors.config": device_reports.SensorConfig,
}


def read(route: Route, payload: bytes, notes: Notes) -> Any:
    """Return the normalised body of a message of any kind but measurement. Raises lenient_json.Malformed."""
    if route.kind == "presence":
        return _convert(device_reports.Presence, _presence(payload, notes), notes)
    if route.kind in ("log", "other"):
        return _free(route, payload, notes)
    value = lenient_json.decode(payload, notes)
    if not isinstance(value, dict):
        raise lenient_json.Malformed(f"an object was expected for {route.kind}")
    value = _moved(value, route.fields)
    if struct := PER_SENSOR.get(route.kind):
        return _sensors(struct, value, notes)
    return _convert(BODIES[route.kind], value, notes)


def _presence(payload: bytes, notes: Notes) -> dict[str, Any]:
    """Return the body of a presence: from a bare word, or from an object with the word under `status` or `state`."""
    try:
        value = lenient_json.decode(payload, notes)
    except lenient_json.Malformed:
        value = lenient_json.decode_text(payload, notes).strip()
    body = value if isinstance(value, dict) else {"status": value}
    if "status" not in body and "state" in body:
        body = {**body, "status": body["state"]}
    word = body.get("status")
    if isinstance(word, str) and word.strip().lower() in ("online", "offline"):
        body = {**body, "status": word.strip().lower()}
    return body


def _free(route: Route, payload: bytes, notes: Notes) -> Any:
    """Return the body of kind `log` or `other`: JSON, else text. A log line that is no object is put under `msg`."""
    try:
        value = lenient_json.decode(payload, notes)
    except lenient_json.Malformed:
        value = clean(lenient_json.decode_text(payload, notes), notes)
    return {"msg": value} if route.kind == "log" and not isinstance(value, dict) else value


def _moved(value: dict[str, Any], fields: Mapping[str, str]) -> dict[str, Any]:
    """Return the body with a firmware's fields copied to ours. `fields` maps our path to theirs, keys joined by
    dots.
    """
    moved = dict(value)
    for ours, theirs in fields.items():
        item: Any = value
        for key in theirs.split("."):
            item = item.get(key, msgspec.UNSET) if isinstance(item, dict) else msgspec.UNSET
        if item is not msgspec.UNSET:
            _place(moved, ours.split("."), item)
    return moved


def _place(into: dict[str, Any], path: list[str], value: Any) -> None:
    for key in path[:-1]:
        under = into.get(key)
        into[key] = dict(under) if isinstance(under, dict) else {}
        into = into[key]
    into[path[-1]] = value


def _sensors(struct: type[msgspec.Struct], value: dict[str, Any], notes: Notes) -> dict[str, Any]:
    """Return a report by sensor, which may be under a key `sensors`. Sensors that are no object are left out."""
    under = value.get("sensors")
    sensors = under if isinstance(under, dict) else value
    if len(sensors) > MAX_SENSORS:
        raise lenient_json.Malformed(f"{len(sensors)} sensors, at most {MAX_SENSORS}")
    bodies: dict[str, Any] = {}
    for key, item in sensors.items():
        name = coerce.name(key, notes)
        if name is None:
            continue
        if isinstance(item, dict):
            bodies[name] = _convert(struct, item, notes)
        else:
            notes.append("not_an_object")
    return bodies


def _convert(struct: type[msgspec.Struct], value: dict[str, Any], notes: Notes) -> dict[str, Any]:
    converters = _converters(struct)
    return {key: converters[key](item, notes) if key in converters else item for key, item in value.items()}


@cache
def _converters(struct: type[msgspec.Struct]) -> dict[str, Convert]:
    return {field.encode_name: _converter(field.type) for field in msgspec.structs.fields(struct)}


def _converter(kind: Any) -> Convert:
    """Return the conversion for a field's type, which is a union of one type, null and absence."""
    plain = next(arg for arg in get_args(kind) if arg not in (type(None), msgspec.UnsetType))
    if get_origin(plain) is Annotated:
        bounds = next(meta for meta in get_args(plain) if isinstance(meta, Meta))
        least, most = int(bounds.ge or 0), int(bounds.le or 0)
        return lambda value, notes: coerce.integer(value, least, most, notes)
    if issubclass(plain, msgspec.Struct):
        return lambda value, notes: _nested(plain, value, notes)
    by_type: dict[type, Convert] = {str: coerce.text, float: coerce.number, bool: coerce.flag}
    return by_type[plain]


def _nested(struct: type[msgspec.Struct], value: Any, notes: Notes) -> Any:
    if isinstance(value, dict):
        return _convert(struct, value, notes)
    if value is not None:
        notes.append("not_an_object")
    return None
