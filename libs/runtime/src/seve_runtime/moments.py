"""Reads points in time as people write them: a time, or a duration before now. Reads no clock."""

from typing import Final

from seve_schema.times import MICROS, parse_time, to_micros

from seve_runtime import units

EXPECTED: Final = "a time such as 2025-11-30T19:00:00Z, or a duration before now such as 24h"
EARLIEST: Final = to_micros(parse_time("1970-01-01T00:00:00+00:00"))
LATEST: Final = to_micros(parse_time("2262-01-01T00:00:00+00:00"))
"""The range that the database and a browser can both represent."""


def moment(text: str, now: int) -> int:
    """Return the time that `text` means. It and `now` are in microseconds since 1970; the text `0` means now. Raises
    ValueError.
    """
    try:
        return _within(now - int(units.seconds(text) * MICROS))
    except (ValueError, OverflowError):
        pass
    try:
        return _within(_time(text))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"expected {EXPECTED}") from error


def _time(text: str) -> int:
    time = parse_time(text)
    if time.tzinfo is None:
        raise ValueError("no offset from UTC")
    return to_micros(time)


def _within(micros: int) -> int:
    if not EARLIEST <= micros <= LATEST:
        raise ValueError("out of range")
    return micros
