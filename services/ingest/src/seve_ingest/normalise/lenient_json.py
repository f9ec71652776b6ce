"""Decodes JSON as devices write it: first strictly, then with repairs of NaN, 1e999, broken UTF-8, lone surrogates and
a byte order mark.

Returns plain values that every part of Sève can encode, store and show. Knows no kind and no topic.
"""

import json
import math
from typing import Any, Final

import msgspec

from seve_ingest.normalise.coerce import Notes, clean, finite

MAX_DEPTH: Final = 32
"""Most levels of nesting. No device needs as many; deeper bodies are attacks on parsers."""

_LARGEST: Final = 2**63
_decode: Final = msgspec.json.Decoder().decode
_BOM: Final = b"\xef\xbb\xbf"


class Malformed(ValueError):
    """A body that is no usable JSON, even after repairs."""


def decode(payload: bytes, notes: Notes) -> Any:
    """Return the value of a JSON body. Raises Malformed."""
    try:
        value = _decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        value = _repaired(payload, notes)
    except RecursionError:
        raise Malformed("nested too deep") from None
    return _storable(value, notes, MAX_DEPTH)


def decode_text(payload: bytes, notes: Notes) -> str:
    """Return a body as text, with broken UTF-8 replaced."""
    try:
        return payload.decode()
    except UnicodeDecodeError:
        notes.append("utf8_replaced")
        return payload.decode(errors="replace")


def _repaired(payload: bytes, notes: Notes) -> Any:
    text = decode_text(payload.removeprefix(_BOM), notes)
    try:
        value = json.loads(text, parse_int=_integer)
    except RecursionError:
        raise Malformed("nested too deep") from None
    except ValueError as error:
        raise Malformed(str(error)) from None
    notes.append("json_repaired")
    return value


def _integer(digits: str) -> float:
    return int(digits) if len(digits) <= 20 else float(digits)


def _storable(value: Any, notes: Notes, depth: int) -> Any:
    """Return the value with cleaned text, numbers that JSON can hold, and bounded depth."""
    if isinstance(value, str):
        return clean(value, notes)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if -_LARGEST <= value < _LARGEST else finite(value, notes)
    if isinstance(value, float):
        return value if math.isfinite(value) else finite(value, notes)
    if depth == 0:
        raise Malformed("nested too deep")
    if isinstance(value, list):
        return [_storable(item, notes, depth - 1) for item in value]
    return {clean(key, notes): _storable(item, notes, depth - 1) for key, item in value.items()}
