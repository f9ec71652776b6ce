"""Keeps `measurements_hourly` without TimescaleDB: one row for each series and hour that is over. Deletes nothing.

Its state (table `rollup`, one row) says what a reader may rely on: each hour before `horizon` includes every sample up
to `position`. A sample behind that position may still belong to such an hour; a reader finds these few by their
position, and reads their hours from `measurements` instead. The next run aggregates those hours again. The result
depends on no clock: `now()` only decides how much is aggregated.
"""

import time
from typing import Any, Final

from psycopg import AsyncConnection
from seve_schema.position import SEQUENCE_BITS, Position
from seve_schema.settled import EARLIEST_AFTER, NUMBER, REACH, SETTLED
from seve_schema.times import format_time

OVER: Final = 300.0
"""Seconds after the end of an hour; by then most of its samples have arrived."""
YOUNG: Final = 600.0
"""Seconds after a journal was created in which writers may still hold messages of the one before. Until then `position`
stays where it is.
"""

REPEATABLE: Final = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"
_WITHOUT_SEQSCAN: Final = "SET LOCAL enable_seqscan = off"
"""The tables are large and the queries look for few rows; the planner's statistics may be a day old."""

_STATE: Final = "SELECT position, horizon, kept_from, now() FROM rollup"
_NEWEST: Final = "SELECT coalesce(max(number) + 1, 0)::bigint << 48 FROM journals"
_FIRST: Final = "SELECT date_trunc('hour', min(time), 'UTC') FROM measurements"
_UNTIL: Final = """
SELECT least(date_trunc('hour', least(now(), to_timestamp(%(now)s)) - make_interval(secs => %(over)s), 'UTC'),
             %(since)s::timestamptz + interval '1 day')
"""

_AGGREGATES: Final = "avg(value), min(value), max(value), count(value)"
_PUT: Final = """
ON CONFLICT (module_id, sensor_type, hardware_id, hour) DO UPDATE
SET average = excluded.average, minimum = excluded.minimum, maximum = excluded.maximum, samples = excluded.samples
"""
_HOURS: Final = f"""
INSERT INTO measurements_hourly (module_id, sensor_type, hardware_id, hour, average, minimum, maximum, samples)
SELECT module_id, sensor_type, hardware_id, date_trunc('hour', time, 'UTC'), {_AGGREGATES}
FROM measurements WHERE time >= %(since)s AND time < %(until)s AND {SETTLED}
GROUP BY 1, 2, 3, 4
{_PUT}
"""  # noqa: S608  (constants of ours)
_LATE: Final = f"""
WITH late AS MATERIALIZED (
    SELECT DISTINCT module_id, sensor_type, hardware_id, date_trunc('hour', time, 'UTC') AS hour
    FROM measurements
    WHERE position > %(position)s AND time < %(since)s AND time >= coalesce(%(kept_from)s, '-infinity'::timestamptz)
)
INSERT INTO measurements_hourly (module_id, sensor_type, hardware_id, hour, average, minimum, maximum, samples)
SELECT module_id, sensor_type, hardware_id, hour, made.* FROM late, LATERAL (
    SELECT {_AGGREGATES} FROM measurements AS m
    WHERE m.module_id = late.module_id AND m.sensor_type = late.sensor_type AND m.hardware_id = late.hardware_id
      AND m.time >= late.hour AND m.time < late.hour + interval '1 hour' AND {SETTLED}
    HAVING count(*) > 0
) AS made
{_PUT}
"""  # noqa: S608  (as above)
_DONE: Final = "UPDATE rollup SET position = %(settled)s, horizon = %(until)s"


async def roll_up(connection: AsyncConnection[Any], floor: Position) -> tuple[int, bool]:
    """Aggregate at most a day in the current transaction, which is REPEATABLE.

    `floor` is the writers' acknowledgement floor, read before the transaction began. Return the number of rows written,
    and whether more hours can be aggregated.
    """
    await connection.execute(_WITHOUT_SEQSCAN)
    ((position, horizon, kept_from, now),) = await _rows(connection, _STATE)
    settled = await _settled(connection, floor)
    young = now.timestamp() - floor.journal / 1e6 < YOUNG
    if position and settled >> SEQUENCE_BITS != position >> SEQUENCE_BITS and young:
        return 0, False
    since = horizon or (await _rows(connection, _FIRST))[0][0]
    if since is None:
        return 0, False
    ((until,),) = await _rows(connection, _UNTIL, now=time.time(), over=OVER, since=since)
    bounds = {"settled": settled, "last": settled | ((1 << SEQUENCE_BITS) - 1)}
    written = 0
    ((earliest,),) = await _rows(connection, EARLIEST_AFTER, position=position)
    if horizon and earliest and earliest < horizon:
        late = {"position": position, "since": horizon, "kept_from": kept_from}
        written += (await connection.execute(_LATE, {**late, **bounds})).rowcount
    if until > since:
        written += (await connection.execute(_HOURS, {"since": since, "until": until, **bounds})).rowcount
    await connection.execute(_DONE, {"settled": settled, "until": max(horizon or until, until)})
    return written, (until - since).days >= 1


async def _settled(connection: AsyncConnection[Any], floor: Position) -> int:
    """Return the position up to which every message is stored."""
    created = format_time(floor.journal)
    found = await _rows(connection, NUMBER, (created,))
    if not found:  # nothing of this journal is stored, and everything of those before it
        return max(int((await _rows(connection, _NEWEST))[0][0]) - 1, 0)
    reach = await _rows(connection, REACH, journal=created, next=floor.sequence + 1)
    return (int(found[0][0]) << SEQUENCE_BITS) + (int(reach[0][0]) if reach else floor.sequence)


async def _rows(connection: AsyncConnection[Any], query: str, *given: Any, **named: Any) -> list[Any]:
    return await (await connection.execute(query, *given or (named,))).fetchall()
