"""Decides which queries are answered, and with how many points. Pure."""

from typing import Final

import msgspec
from seve_runtime.units import duration_text
from seve_schema.history import LogsRequest, SeriesRequest
from seve_schema.times import MICROS

from seve_history.errors import Refused


class AnswerBounds(msgspec.Struct, frozen=True):
    """Most points of one answer, all series together, and the longest range in seconds."""

    points: int
    range: float


LINES: Final = 1000
"""Most lines of one answer."""


def check_text(asked: msgspec.Struct) -> None:
    """Raise Refused for text with a NUL byte, which PostgreSQL cannot store and so would never find."""
    if any(isinstance(value, str) and "\0" in value for value in msgspec.structs.astuple(asked)):
        raise Refused(400, "a NUL byte is in no name and in no line")


def check(asked: SeriesRequest, bounds: AnswerBounds) -> None:
    """Raise Refused for a query of samples beyond the bounds."""
    _check_range(asked.start, asked.end, bounds)
    if not 1 <= asked.points <= bounds.points:
        raise Refused(400, f"`points` is not between 1 and {bounds.points} (QUERY_MAX_POINTS)")


def check_lines(asked: LogsRequest, bounds: AnswerBounds) -> None:
    """Raise Refused for a query of log lines beyond the bounds."""
    _check_range(asked.start, asked.end, bounds)
    if not 1 <= asked.most <= LINES:
        raise Refused(400, f"`lines` is not between 1 and {LINES}")


def _check_range(start: int, end: int, bounds: AnswerBounds) -> None:
    if end <= start:
        raise Refused(400, "`from` is not before `to`")
    if end - start > bounds.range * MICROS:
        raise Refused(400, f"from `from` to `to` is more than {duration_text(bounds.range)} (QUERY_MAX_RANGE)")


def share(points: int, series: int, bounds: AnswerBounds) -> int:
    """Return how many points each of `series` may have. Raises Refused if there are more series than points."""
    if series > bounds.points:
        raise Refused(400, f"the module has more than {bounds.points} series: name a sensor")
    return min(points, bounds.points // max(series, 1))
