"""Decides how wide the buckets of an answer are, and where they begin. Pure.

Each width divides a day or is a multiple of days, so that buckets begin where people expect: at full minutes, hours,
midnights (UTC) and Mondays.
"""

from typing import Final, NamedTuple

from seve_schema.times import MICROS

HOUR: Final = 3600
DAY: Final = 24 * HOUR
MONTH: Final = 28 * DAY
"""Four weeks: beyond it, widths are whole multiples."""

WIDTHS: Final = (
    *(1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 900, 1800),
    *(HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR),
    *(DAY, 2 * DAY, 7 * DAY, 14 * DAY, MONTH),
)
"""Seconds."""

ORIGIN: Final = 978_307_200 * MICROS
"""2001-01-01T00:00:00Z, a Monday, in microseconds since 1970."""


class Buckets(NamedTuple):
    """Buckets of `width` seconds from `start` to before `end`, microseconds since 1970."""

    width: int
    start: int
    end: int

    @property
    def number(self) -> int:
        """The number of buckets."""
        return (self.end - self.start) // (self.width * MICROS)


def buckets(start: int, end: int, points: int, *, at_least: int = 1) -> Buckets:
    """Return the narrowest buckets of which at most `points` (or two, if that is more) cover [`start`, `end`).

    They are at least `at_least` seconds wide. The first and the last are whole, so they may reach beyond the range.
    """
    most = max(points, 2)
    for width in WIDTHS:
        made = _aligned(start, end, width)
        if width >= at_least and made.number <= most:
            return made
    width = MONTH
    while (made := _aligned(start, end, width)).number > most:
        width = MONTH * max(width // MONTH + 1, (end - start) // (MONTH * MICROS * most))
    return made


def _aligned(start: int, end: int, width: int) -> Buckets:
    size = width * MICROS
    first = ORIGIN + (start - ORIGIN) // size * size
    last = ORIGIN - (ORIGIN - end) // size * size
    return Buckets(width, first, max(last, first + size))
