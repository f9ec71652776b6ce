"""Parses the query strings of `/api/history` and `/api/logs` into requests to the history service. Sends nothing."""

from typing import Final

from seve_runtime.moments import moment
from seve_schema.history import LogsRequest, SeriesRequest

from seve_broadcaster.protocol.requests import MAX_NAME_BYTES, Refusal, parameters, shown

PARAMETERS: Final = ("module", "sensor", "hardware", "from", "to", "points")
OF_LOGS: Final = ("module", "level", "text", "from", "to", "lines")
FROM: Final = "24h"
POINTS: Final = 500
LINES: Final = 200


def parse(query: str, *, journal: int, now: int) -> SeriesRequest:
    """Return the request of `/api/history`. `now` is in microseconds since 1970. Raises Refusal."""
    given = _given(query, PARAMETERS)
    end = _moment("to", given.get("to", "0"), now)
    return SeriesRequest(
        module=given["module"],
        sensor=given.get("sensor"),
        hardware=given.get("hardware"),
        start=_moment("from", given.get("from", FROM), now),
        end=end,
        open=end == now,
        points=_number("points", given.get("points", str(POINTS))),
        journal=journal,
    )


def parse_logs(query: str, *, journal: int, now: int) -> LogsRequest:
    """Return the request of `/api/logs`. Arguments and errors are those of `parse`."""
    given = _given(query, OF_LOGS)
    return LogsRequest(
        module=given["module"],
        level=given.get("level") or None,
        text=given.get("text") or None,
        start=_moment("from", given.get("from", FROM), now),
        end=_moment("to", given.get("to", "0"), now),
        most=_number("lines", given.get("lines", str(LINES))),
        journal=journal,
    )


def _given(query: str, known: tuple[str, ...]) -> dict[str, str]:
    """Return the parameters of a query string, each given once. Raises Refusal."""
    given: dict[str, str] = {}
    for name, values in parameters(query, known).items():
        if len(values) > 1:
            raise Refusal("invalid", f"`{name}` is given more than once")
        if len(values[0].encode()) > MAX_NAME_BYTES:
            raise Refusal("invalid", f"`{name}` is longer than {MAX_NAME_BYTES} bytes")
        given[name] = values[0]
    if not given.get("module"):
        raise Refusal("invalid", "no module is named")
    return given


def _moment(name: str, text: str, now: int) -> int:
    """Read a time with its offset from UTC, or a duration before now."""
    try:
        return moment(text.replace(" ", "+"), now)  # an unescaped + in a query string is decoded as a space
    except ValueError as error:
        raise Refusal("invalid", f"`{name}` = {shown(text)}: {error}") from error


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= 1_000_000:
        raise Refusal("invalid", f"`{name}` = {shown(text)}: expected a number from 1 to 1,000,000")
    return int(text)
