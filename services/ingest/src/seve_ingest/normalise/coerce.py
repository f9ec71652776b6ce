"""Converts values that devices send to the wanted type, and notes each repair. Never raises.

Every function takes any JSON value and a list of notes; it returns the converted value, or None and adds a note of the
reason. Checks neither ranges of sensors nor times.
"""

import math
import re
from typing import Any, Final

Notes = list[str]
"""Repairs made to one message: words of REPAIRS, in the order they were made."""

REPAIRS: Final = (
    "empty",
    "no_value",
    "number_in_text",
    "not_a_number",
    "boolean_as_number",
    "number_as_text",
    "not_text",
    "text_cleaned",
    "rounded",
    "out_of_column",
    "not_a_boolean",
    "boolean_converted",
    "not_an_object",
    "key_dropped",
    "json_repaired",
    "utf8_replaced",
    "time_missing",
    "time_unreadable",
    "time_before_2000",
    "time_ahead",
)

MAX_LEVEL_BYTES: Final = 128
"""Longest level of a topic and longest name of a sensor: both are part of a primary key."""

_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:[.,][0-9]*)?|[.,][0-9]+)(?:[eE][+-]?[0-9]{1,4})?", re.ASCII)
_LONGEST_NUMBER: Final = 400
_SWITCH: Final = {"on": 1.0, "true": 1.0, "off": 0.0, "false": 0.0}
_TRUE: Final = frozenset(("true", "on", "yes", "1"))
_FALSE: Final = frozenset(("false", "off", "no", "0"))
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def number(value: Any, notes: Notes) -> float | None:
    """Return a finite number from a number, a number in a string (also with a decimal comma), a boolean, ON or OFF."""
    if value is None:
        return None
    if isinstance(value, bool):
        notes.append("boolean_as_number")
        return float(value)
    if isinstance(value, str):
        return _number_in_text(value.strip(), notes)
    if isinstance(value, int | float):
        return finite(value, notes)
    notes.append("not_a_number")
    return None


def is_number(word: str) -> bool:
    """Return whether text reads as a number, or as ON or OFF, true or false."""
    word = word.strip()
    return word.lower() in _SWITCH or (len(word) <= _LONGEST_NUMBER and _NUMBER.fullmatch(word) is not None)


def _number_in_text(word: str, notes: Notes) -> float | None:
    if not word:
        notes.append("empty")
        return None
    if len(word) <= _LONGEST_NUMBER and _NUMBER.fullmatch(word):
        notes.append("number_in_text")
        return finite(float(word.replace(",", ".")), notes)
    if word.lower() in _SWITCH:
        notes.append("boolean_as_number")
        return _SWITCH[word.lower()]
    notes.append("not_a_number")
    return None


def finite(value: float, notes: Notes) -> float | None:
    """Return `value` as a float, or None with a note if it is infinite, NaN or an integer too large."""
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    if math.isfinite(result):
        return result
    notes.append("not_a_number")
    return None


def integer(value: Any, least: int, most: int, notes: Notes) -> int | None:
    """Return an integer from `least` to `most` from anything that `number` accepts; fractions are rounded."""
    if isinstance(value, int) and not isinstance(value, bool):
        whole = value
    else:
        converted = number(value, notes)
        if converted is None:
            return None
        whole = round(converted)
        if whole != converted:
            notes.append("rounded")
    if least <= whole <= most:
        return whole
    notes.append("out_of_column")
    return None


def text(value: Any, notes: Notes) -> str | None:
    """Return text that every part of Sève can store; None for blank text; numbers and booleans become text."""
    if value is None:
        return None
    if isinstance(value, str):
        cleaned = clean(value, notes)
        if cleaned.strip():
            return cleaned
        notes.append("empty")
        return None
    if isinstance(value, bool):
        notes.append("number_as_text")
        return "true" if value else "false"
    if isinstance(value, int | float):
        notes.append("number_as_text")
        return f"{value:.17g}" if isinstance(value, float) else str(value)
    notes.append("not_text")
    return None


def flag(value: Any, notes: Notes) -> bool | None:
    """Return a boolean from a boolean, from 0 and 1, or from a word for either."""
    if value is None or isinstance(value, bool):
        return value
    word = str(value).strip().lower() if isinstance(value, str | int | float) else ""
    word = word.removesuffix(".0")
    if word in _TRUE or word in _FALSE:
        notes.append("boolean_converted")
        return word in _TRUE
    notes.append("not_a_boolean" if word else "empty")
    return None


def clean(value: str, notes: Notes) -> str:
    """Return text without NUL, which PostgreSQL cannot store, and with lone surrogates, which UTF-8 lacks, replaced."""
    if value.isascii() and "\x00" not in value:
        return value
    cleaned = _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", value.replace("\x00", ""))
    if cleaned != value:
        notes.append("text_cleaned")
    return cleaned


def name(value: str, notes: Notes) -> str | None:
    """Return the name of a sensor from a key of a body; None if it is empty or too long for a primary key."""
    cleaned = clean(value, notes).strip()
    if cleaned and len(cleaned.encode()) <= MAX_LEVEL_BYTES:
        return cleaned
    notes.append("key_dropped")
    return None
