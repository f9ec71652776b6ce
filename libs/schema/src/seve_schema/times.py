"""Timestamps on the wire: RFC 3339, UTC, six decimals, of fixed width. Takes and gives integers of microseconds."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

MICROS: Final = 1_000_000
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICRO: Final = timedelta(microseconds=1)


@lru_cache(maxsize=4096)
def _whole_second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}."


def format_time(micros: int) -> str:
    """Microseconds since 1970 in UTC as `2025-11-30T19:00:00.000000Z`. Seconds are cached: clocks repeat."""
    seconds, rest = divmod(micros, MICROS)
    return f"{_whole_second(seconds)}{rest:06d}Z"


def to_micros(moment: datetime) -> int:
    """An aware datetime as microseconds since 1970 in UTC."""
    return (moment - EPOCH) // MICRO


def parse_time(text: str) -> datetime:
    """The aware datetime of a timestamp that `format_time` wrote. Raises ValueError for anything it cannot read."""
    return datetime.fromisoformat(text)
