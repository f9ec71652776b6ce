"""Device time: what a device may write for a time, and when it is believed. Reads no clock itself.

Times are integers of microseconds since 1970, UTC.
"""

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from seve_schema.times import MICROS, to_micros

from seve_ingest.normalise.coerce import Notes

YEAR_2000: Final = 946_684_800 * MICROS
"""Earlier times come from clocks that were never set."""

MOST_AHEAD: Final = 600 * MICROS
"""How far ahead of the receipt a device's clock may run before it is not believed."""

_MILLISECONDS_FROM: Final = 100_000_000_000
"""Epoch numbers from here on are milliseconds: as seconds this is the year 5138, as milliseconds 1973."""

_moment: Final = msgspec.json.Decoder(Annotated[datetime, Meta(tz=True)]).decode


def device_time(value: Any, received_at: int, notes: Notes) -> int | None:
    """The time a device gave, or None, with a note, where the time of receipt has to stand for it."""
    micros = _read(value)
    if micros is None:
        notes.append("time_missing" if value is None or value == "" else "time_unreadable")
        return None
    return believed(micros, received_at, notes)


def believed(micros: int, received_at: int, notes: Notes) -> int | None:
    """The time itself where a clock may show it at `received_at`, else None with a note."""
    if micros < YEAR_2000:
        notes.append("time_before_2000")
        return None
    if micros > received_at + MOST_AHEAD:
        notes.append("time_ahead")
        return None
    return micros


def _read(value: Any) -> int | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        return _read_text(value.strip())
    if isinstance(value, int | float):
        return _epoch(float(value))
    return None


def _read_text(text: str) -> int | None:
    if not text or len(text) > 64:
        return None
    try:
        return to_micros(_moment(b'"%b"' % text.encode()))
    except (msgspec.DecodeError, ValueError):
        pass
    try:
        return _epoch(float(text)) if text.isascii() and "_" not in text else None
    except ValueError:
        return None


def _epoch(value: float) -> int | None:
    if not 0 <= value < 1e15:
        return None
    return round(value * 1000) if value >= _MILLISECONDS_FROM else round(value * MICROS)
