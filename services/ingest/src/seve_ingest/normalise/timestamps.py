"""Parses the times that devices write, and decides whether to use them. Reads no clock itself.

Times are integers of microseconds since 1970, UTC. A number of zero or less is in seconds relative to the time of
receipt, for devices without a clock: `-60` is a minute ago.
"""

import math
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from msgspec import Meta
from seve_schema.envelope import Clock
from seve_schema.times import MICROS, to_micros

from seve_ingest.normalise.coerce import Notes

YEAR_2000: Final = 946_684_800 * MICROS
"""Earlier times come from clocks that were never set."""

MOST_AHEAD: Final = 600 * MICROS
"""Most microseconds that a device's time may be ahead of the receipt; one that is further ahead is not used."""

MOST_AGO: Final = 366 * 86_400
"""Most seconds before the receipt of a relative time: a larger number comes from a counter that overflowed."""

_MILLISECONDS_FROM: Final = 100_000_000_000
"""Epoch numbers from here on are milliseconds: as seconds this is the year 5138, as milliseconds 1973."""

_SECOND: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", re.ASCII)
_moment: Final = msgspec.json.Decoder(Annotated[datetime, Meta(tz=True)]).decode


class After(NamedTuple):
    """A time that is `micros` after `start`, which is as a device wrote it; a `start` of 0 is the time of receipt."""

    start: Any
    micros: int


class Moment(NamedTuple):
    """The time of a sample, and whether it comes from the device's clock or from the receipt."""

    micros: int
    clock: Clock


def moments(written: Iterable[Any], received_at: int, notes: Notes) -> list[Moment]:
    """Return the moment of each time in a message. A time that several samples share is parsed and noted once."""
    result: list[Moment] = []
    last: Any = result
    for each in written:
        result.append(result[-1] if each is last else moment(each, received_at, notes))
        last = each
    return result


def moment(written: Any, received_at: int, notes: Notes) -> Moment:
    """Return the moment that a device wrote; if it is not usable, return the time of receipt and add a note."""
    start, after = written if isinstance(written, After) else (written, 0)
    seconds = _seconds(start)
    relative = seconds is not None and -MOST_AGO <= seconds <= 0
    micros = received_at + round(seconds * MICROS) if relative and seconds is not None else _read(start, seconds)
    if micros is None or (relative and after < -MOST_AGO * MICROS):
        notes.append("time_missing" if start is None or start == "" else "time_unreadable")
    elif micros + after < YEAR_2000:
        notes.append("time_before_2000")
    elif micros + after > received_at + MOST_AHEAD:
        notes.append("time_ahead")
    else:
        return Moment(micros + after, "server" if relative else "device")
    return Moment(received_at, "server")


def epoch(value: float) -> int | None:
    """Return the microseconds of an epoch in seconds or milliseconds; None for a number that is neither."""
    if not 0 <= value < 1e15:
        return None
    return round(value * 1000) if value >= _MILLISECONDS_FROM else round(value * MICROS)


def whole_second(text: str) -> int | None:
    """Return the microseconds of a time in UTC such as `2025-11-30T19:00:00`; None for any other text."""
    return _rfc3339(f"{text}Z") if _SECOND.fullmatch(text) else None


def _read(value: Any, seconds: float | None) -> int | None:
    if seconds is not None:
        return epoch(seconds)
    return _rfc3339(value.strip()) if isinstance(value, str) else None


def _seconds(value: Any) -> float | None:
    """Return a finite number, or the number that a text has; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and (len(value) > 64 or not value.isascii() or "_" in value):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _rfc3339(text: str) -> int | None:
    if not text or len(text) > 64:
        return None
    try:
        return to_micros(_moment(b'"%b"' % text.encode()))
    except (msgspec.DecodeError, ValueError):
        return None
