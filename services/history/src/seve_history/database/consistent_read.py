"""Reads one snapshot of the database, up to the journal position to which it has every message. Samples behind that
position are left out, so that a client that subscribes from there gets each sample once.

That position is the last one before the first hole in the ledger above the writers' acknowledgement floor. Writers that
share the journal commit out of order, so rows of messages behind the hole may exist already. They are recognised by
their column `position`.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from seve_schema.position import SEQUENCE_BITS, Position
from seve_schema.settled import EARLIEST_AFTER, NUMBER, REACH
from seve_schema.times import format_time, to_micros

from seve_history.database import sql
from seve_history.database.pool import Connection
from seve_history.database.rollup import Rollup
from seve_history.query.buckets import HOUR, ORIGIN, Buckets

_EVERY_POSITION: Final = (1 << 63) - 1
_ALWAYS: Final = {"start": datetime(1970, 1, 1, tzinfo=UTC), "end": datetime(9999, 1, 1, tzinfo=UTC)}

LOG_BYTES: Final = 1 << 20
"""Most bytes of text in an answer with log lines. A line has 256 KiB at most, and JSON escapes some bytes as six."""

Series = tuple[str, str]
"""Sensor, and hardware or ""."""


class ConsistentRead:
    """The queries of one transaction. `position` is the position up to which it has every message."""

    def __init__(self, connection: Connection, position: Position, number: int | None, rollup: Rollup) -> None:
        self.position = position
        self._connection = connection
        self._rollup = rollup
        base = 0 if number is None else number << SEQUENCE_BITS
        self._settled = {
            "settled": _EVERY_POSITION if number is None else base + position.sequence,
            "last": base + (1 << SEQUENCE_BITS) - 1,
        }

    async def series(self, module: str, most: int) -> list[Series]:
        """Return the series of a module, `most` at most, in the order of their names."""
        return await self._rows(sql.SERIES, module=module, most=most)

    async def is_only_hourly(self, module: str, series: Series, start: int, end: int) -> bool:
        """Return whether the samples of a part of [`start`, `end`) were deleted, so that only their hourly aggregate is
        left.
        """
        kept_from = self._rollup.kept_from
        if kept_from is None or start >= to_micros(kept_from):
            return False
        given = _of(module, series) | _range(start, end)
        return bool((await self._rows(sql.ONLY_HOURLY, **given, kept_from=kept_from))[0][0])

    async def raw(self, module: str, series: Series, start: int, end: int, most: int) -> list[tuple[int, float | None]]:
        """Return the samples of a series in [`start`, `end`), the `most` oldest: milliseconds since 1970 and value."""
        given = _of(module, series) | _range(start, end) | self._settled
        return await self._rows(sql.RAW, **given, most=most)

    async def buckets(self, module: str, series: Series, wanted: Buckets) -> list[tuple[Any, ...]]:
        """Return the buckets that have values: start (milliseconds since 1970), minimum, maximum, average, count."""
        given = _of(module, series) | _range(wanted.start, wanted.end) | self._settled
        given |= {"width": timedelta(seconds=wanted.width), "origin": format_time(ORIGIN)}
        if wanted.width < HOUR or self._rollup.horizon is None:
            return await self._rows(sql.BUCKETS, **given)
        return await self._rows(sql.HOURLY, **given, **await self._hours(module, series))

    async def extent(self, module: str, series: Series) -> tuple[datetime | None, datetime | None, int]:
        """Return the times of the first and last sample of a series, and the number of its values."""
        given = _of(module, series) | self._settled
        first = await self._one(sql.FIRST, **given)
        if self._rollup.kept_from is not None:
            hour = await self._one(sql.FIRST_HOUR, **given, kept_from=self._rollup.kept_from)
            first = min((one for one in (first, hour) if one is not None), default=None)
        if self._rollup.horizon is None:
            count = await self._one(sql.COUNT, **given)
        else:
            count = await self._one(sql.COUNT_HOURLY, **given, **_ALWAYS, **await self._hours(module, series))
        return first, await self._one(sql.LAST, **given), count

    async def logs(
        self, module: str, start: int, end: int, *, level: str | None, text: str | None, most: int
    ) -> list[tuple[datetime, str | None, str, int]]:
        """Return the newest lines of a module's log, newest first, up to `most` lines and LOG_BYTES of text. A row has
        time, level, text, and the number of lines without the bound on bytes.
        """
        given = {"module": module, "level": level, "text": text, "most": most, "bytes": LOG_BYTES}
        return await self._rows(sql.LOGS, **given, **_range(start, end))

    async def last(self, module: str, series: Series) -> int:
        """Return the time of the last sample of a series, in microseconds since 1970; 0 if it has none."""
        found = await self._one(sql.LAST, **_of(module, series), **self._settled)
        return 0 if found is None else to_micros(found)

    async def states(self, module: str, most: int) -> dict[str, list[dict[str, Any]]]:
        """Return the rows of each table of states, by kind, of `most` sensors; they may be newer than the position."""
        return {
            name: [row for (row,) in await self._rows(query, module=module, most=most)]
            for name, query in sql.STATES.items()
        }

    async def _hours(self, module: str, series: Series) -> dict[str, Any]:
        """Return the end of the usable part of the hourly aggregate, and its hours that cannot be used."""
        rollup = self._rollup
        late: list[datetime] = []
        if rollup.late:
            given = _of(module, series) | {"rolled": rollup.position, "kept_from": rollup.kept_from}
            late = [hour for (hour,) in await self._rows(sql.LATE, **given, horizon=rollup.horizon)]
        return {"horizon": rollup.horizon, "late": late}

    async def _one(self, query: str, **given: Any) -> Any:
        return (await self._rows(query, **given))[0][0]

    async def _rows(self, query: str, **given: Any) -> list[Any]:
        return await _rows(self._connection, query, given)


@asynccontextmanager
async def consistent_read(
    connection: Connection, journal: int, floor: int, seconds: float
) -> AsyncIterator[ConsistentRead]:
    """Open a transaction that reads one snapshot of the database. `floor` is the acknowledgement floor in `journal`,
    requested before; a statement may take `seconds`.

    Raises psycopg.Error.
    """
    async with connection.transaction():
        await connection.execute(sql.LIMITS, (f"{seconds * 1000:.0f}",))
        created = format_time(journal)
        found = await _rows(connection, NUMBER, (created,))
        reach = await _rows(connection, REACH, {"journal": created, "next": floor + 1})
        position = Position(journal, reach[0][0] if reach else floor)
        yield ConsistentRead(connection, position, found[0][0] if found else None, await _rollup(connection))


async def _rollup(connection: Connection) -> Rollup:
    found = await _rows(connection, sql.LAYOUT, {})
    if not found:
        return Rollup()
    position, horizon, kept_from, plain, over = found[0]
    if plain:
        earliest = (await _rows(connection, EARLIEST_AFTER, {"position": position}))[0][0]
        late = None not in (earliest, horizon) and earliest < horizon
        return Rollup(position, horizon, kept_from, late)
    recent = (await _rows(connection, sql.RECENT, {}))[0][0]
    oldest = (await _rows(connection, sql.OLDEST_CHUNK, {}))[0][0]
    return Rollup(horizon=min(over, recent) if recent is not None else over, kept_from=oldest)


async def _rows(connection: Connection, query: str, given: Mapping[str, Any] | tuple[Any, ...]) -> list[Any]:
    return await (await connection.execute(query, given, binary=True)).fetchall()


def _of(module: str, series: Series) -> dict[str, Any]:
    return {"module": module, "sensor": series[0], "hardware": series[1]}


def _range(start: int, end: int) -> dict[str, Any]:
    return {"start": format_time(start), "end": format_time(end)}
