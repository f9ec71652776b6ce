"""Answers requests: reads the rows that each needs, and builds the JSON for the client."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
from seve_schema.history import LogsRequest, ModuleRequest, SeriesRequest
from seve_schema.position import Position, end_of
from seve_schema.times import MICROS, format_time, to_micros

from seve_history import metrics
from seve_history.database.consistent_read import ConsistentRead, Series
from seve_history.errors import Refused
from seve_history.query.bounds import AnswerBounds, share
from seve_history.query.buckets import HOUR, buckets

Answer = tuple[Position, bytes]
"""The position up to which an answer has every message, and its JSON."""

AHEAD: Final = 3600 * MICROS
"""How far an open range may reach into the future (microseconds). Samples cannot be far ahead: ingest does not use the
time of a clock that is more than ten minutes ahead.
"""

_encode: Final = msgspec.json.Encoder().encode
_NOT_SHOWN: Final = frozenset({"module_id", "position", "status_position", "config_position"})
"""Columns for internal use, and the module, which the answer has already."""


async def of_series(opened: ConsistentRead, asked: SeriesRequest, bounds: AnswerBounds) -> Answer:
    """Answer with the samples of a module. Raises Refused and psycopg.Error."""
    named = [
        (sensor, hardware)
        for sensor, hardware in await opened.series(asked.module, bounds.points + 1)
        if asked.sensor in (None, sensor) and asked.hardware in (None, hardware)
    ]
    points = share(asked.points, len(named), bounds)
    body = {
        "module": asked.module,
        "from": format_time(asked.start),
        "to": format_time(asked.end),
        "series": [await _one(opened, asked, series, points) for series in named],
        "token": str(end_of(opened.position)),
    }
    return opened.position, _encode(body)


async def _one(opened: ConsistentRead, asked: SeriesRequest, series: Series, points: int) -> dict[str, Any]:
    """Read a series: its samples if they are at most `points`, else buckets."""
    end = asked.end
    if asked.open:
        end = max(end, min(await opened.last(asked.module, series) + 1, end + AHEAD))
    only_hourly = await opened.is_only_hourly(asked.module, series, asked.start, end)
    width, found = 0, list[Any]()
    if not only_hourly:
        found = await opened.raw(asked.module, series, asked.start, end, points + 1)
    if only_hourly or len(found) > points:
        wanted = buckets(asked.start, end, points, at_least=HOUR if only_hourly else 1)
        width, found = wanted.width, await opened.buckets(asked.module, series, wanted)
    metrics.POINTS.labels("buckets" if width else "raw").inc(len(found))
    sensor, hardware = series
    return {"sensor": sensor, "hardware": hardware or None, "width": width, "points": found}


async def of_module(opened: ConsistentRead, asked: ModuleRequest, bounds: AnswerBounds) -> Answer:
    """Answer with the states and series of a module. Raises Refused and psycopg.Error."""
    states = await opened.states(asked.module, bounds.points)
    series = [await _extent(opened, asked.module, one) for one in await opened.series(asked.module, bounds.points)]
    if not series and not any(states.values()):
        raise Refused(404, "nothing is known of that module")
    seen = [one[end] for one in series for end in ("first", "last") if one[end]]
    heard = [_time(row["updated_at"]) for rows in states.values() for row in rows]
    body = {
        "module": asked.module,
        "firstSeen": min(seen + heard, default=None),
        "lastSeen": max(seen + heard, default=None),
        "presence": _single(states["presence"]),
        "system": _single(states["system"]),
        "hardware": _single(states["hardware"]),
        "sensors": _sensors(states["sensorStatus"], states["sensorConfig"]),
        "series": series,
        "token": str(end_of(opened.position)),
    }
    return opened.position, _encode(body)


async def of_logs(opened: ConsistentRead, asked: LogsRequest) -> Answer:
    """Answer with lines of a module's log, newest first. `more` is true if older lines match, too.

    Raises psycopg.Error.
    """
    found = await opened.logs(
        asked.module, asked.start, asked.end, level=asked.level, text=asked.text, most=asked.most + 1
    )
    shown = found[: asked.most]
    body = {
        "module": asked.module,
        "from": format_time(asked.start),
        "to": format_time(asked.end),
        "lines": [
            {"time": format_time(to_micros(time)), "level": level, "message": message}
            for time, level, message, _ in shown
        ],
        "more": bool(found) and found[0][3] > len(shown),
    }
    return opened.position, _encode(body)


async def _extent(opened: ConsistentRead, module: str, series: Series) -> dict[str, Any]:
    first, last, count = await opened.extent(module, series)
    sensor, hardware = series
    return {
        "sensor": sensor,
        "hardware": hardware or None,
        "first": first and format_time(to_micros(first)),
        "last": last and format_time(to_micros(last)),
        "count": count,
    }


def _single(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    return _shown(rows[0]) if rows else None


def _sensors(status: list[dict[str, Any]], config: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the states of each sensor, by its name."""
    made: dict[str, Any] = {}
    for name, rows in (("status", status), ("config", config)):
        for row in rows:
            made.setdefault(row["sensor_type"], {})[name] = _shown(row)
            del made[row["sensor_type"]][name]["sensorType"]
    return made


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as clients get it: names in camel case, times in RFC 3339."""
    shown = {_camel(name): value for name, value in row.items() if name not in _NOT_SHOWN}
    return shown | {"updatedAt": _time(row["updated_at"])}


def _time(text: str) -> str:
    return format_time(to_micros(datetime.fromisoformat(text)))


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)
