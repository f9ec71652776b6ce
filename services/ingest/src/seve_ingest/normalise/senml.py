"""Reads SenML packs in JSON (RFC 8428): records with base fields, relative times, several sensors in one message.

The last part of `n`, after `/` or `:`, names the sensor; `bn` and the earlier parts name the hardware. A record without
`n` belongs to the topic's own sensor. A unit (`u`) becomes metadata. A record without a value makes the whole pack
malformed.
"""

import re
from typing import Any, Final

from seve_ingest.normalise import coerce
from seve_ingest.normalise.coerce import MAX_LEVEL_BYTES, Notes
from seve_ingest.normalise.lenient_json import Malformed
from seve_ingest.normalise.samples import Sample, is_unread
from seve_ingest.normalise.timestamps import After
from seve_ingest.routing.routes import Match

_BASE: Final = frozenset(("bn", "bt", "bu", "bv", "bs", "bver"))
_VALUES: Final = ("v", "vs", "vb", "vd")
_LABELS: Final = _BASE.union(_VALUES, ("n", "s"))
_VERSION: Final = 10
_RELATIVE_BELOW: Final = float(2**28)
"""Seconds below this are relative to now (RFC 8428, 4.5.3)."""

_MOST_SECONDS: Final = 1e12


def is_pack(items: list[dict[str, Any]], value_key: str) -> bool:
    """Return whether an array of objects is SenML: the first has a SenML label, and none has the route's value key."""
    return bool(items) and not _LABELS.isdisjoint(items[0]) and not any(value_key in item for item in items)


def read(match: Match, records: list[dict[str, Any]], notes: Notes) -> list[Sample]:
    """Return the samples of a pack. Raises Malformed."""
    base: dict[str, Any] = {}
    result = []
    for place, record in enumerate(records):
        base.update((label, item) for label, item in record.items() if label in _BASE)
        try:
            if sample := _sample(match, base, record, notes):
                result.append(sample)
        except Malformed as fault:
            raise Malformed(f"record {place}: {fault}") from None
    return result


def _sample(match: Match, base: dict[str, Any], record: dict[str, Any], notes: Notes) -> Sample | None:
    """Return the sample of one record; None if it only sets base fields."""
    if unknown := next((label for label in record if label.endswith("_")), None):
        raise Malformed(f"the label {unknown[:40]!r} must be understood and is not")
    if base.get("bver", _VERSION) != _VERSION:
        raise Malformed("bver is not 10")
    label = next((label for label in _VALUES if label in record), None)
    if label is None:
        if not _BASE.issuperset(record):
            raise Malformed("neither v, vs, vb nor vd")
        return None
    raw = record[label]
    value = coerce.number(raw, notes)
    unread = value is None and is_unread(raw)
    if label == "v" and value is not None:
        value = coerce.finite(value + _number(base, "bv"), notes)
    sensor, hardware = _names(match, _text(base, "bn"), _text(record, "n"))
    unit = _text(record, "u") or _text(base, "bu")
    return Sample(sensor, hardware, value, _time(base, record), {"u": unit} if unit else None, unread)


def _names(match: Match, base: str, name: str) -> tuple[str, str | None]:
    sensor = re.split("[/:]", name)[-1]
    hardware = (base + name.removesuffix(sensor)).strip("/:") or match.hardware_id
    if hardware is not None and len(hardware.encode()) > MAX_LEVEL_BYTES:
        raise Malformed(f"a name is longer than {MAX_LEVEL_BYTES} bytes")
    return sensor or str(match.sensor_type), hardware


def _time(base: dict[str, Any], record: dict[str, Any]) -> After:
    start, seconds = _number(base, "bt"), _number(record, "t")
    if start + seconds < _RELATIVE_BELOW:
        return After(0, round((start + seconds) * 1e6))
    return After(start, round(seconds * 1e6)) if start else After(seconds, 0)


def _number(record: dict[str, Any], label: str) -> float:
    value = record.get(label, 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > _MOST_SECONDS:
        raise Malformed(f"{label} is not a number")
    return float(value)


def _text(record: dict[str, Any], label: str) -> str:
    value = record.get(label, "")
    if not isinstance(value, str) or len(value.encode()) > MAX_LEVEL_BYTES:
        raise Malformed(f"{label} is not a text of at most {MAX_LEVEL_BYTES} bytes")
    return value.strip()
