"""Timestamps on the wire: RFC 3339, UTC, six decimals, of fixed width. In memory, a time is an integer of microseconds
since 1970.
"""

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
    """Return microseconds since 1970 as `2025-11-30T19:00:00.000000Z`. Whole seconds are cached: most are repeated."""
    seconds, rest = divmod(micros, MICROS)
    return f"{_whole_second(seconds)}{rest:06d}Z"


def to_micros(moment: datetime) -> int:
    """Return an aware datetime as microseconds since 1970."""
    return (moment - EPOCH) // MICRO


def parse_time(text: str) -> datetime:
    """Return the datetime of an ISO 8601 timestamp, aware if the text has an offset. Raises ValueError."""
    return datetime.fromisoformat(text)
