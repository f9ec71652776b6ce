"""Periodic work of one writer at a time: aggregates measurements by the hour and deletes old ones, unless TimescaleDB
does; deletes the states of modules that are gone, and old lines of logs; merges the ledger of past days into hours.
Runs small transactions under a transaction-level lock, which works behind a transaction-pooling PgBouncer too. Failures
are logged and retried; they never stop a writer from writing batches.

A row is old if two clocks say so, the database's and this writer's: a single clock that jumped ahead deletes nothing.
Rows that have been too old for more than a day, as after RETENTION was shortened, are announced in the log and deleted
an hour later.
"""

import time
from collections.abc import Callable
from typing import Any, Final

import psycopg
import structlog
from psycopg import AsyncConnection
from seve_runtime.errors import describe
from seve_runtime.lifecycle import Stop, pause
from seve_runtime.settings import Secret
from seve_runtime.units import duration_text
from seve_schema.position import Position

from seve_writer import metrics
from seve_writer.database.rollup import REPEATABLE, roll_up

log = structlog.get_logger()

DELETED_AT_ONCE: Final = 5000
OVERDUE: Final = 86400.0
NOTICE: Final = 3600.0
"""Seconds. Rows that exceed the retention by OVERDUE are deleted NOTICE after this process has announced it. As long as
writers run, no row gets that old."""

BETWEEN: Final = 0.05
"""Seconds between two transactions, so that a large deletion leaves room for others."""

_LOCK: Final = 0x5E7E_0002
_ALONE: Final = "SELECT pg_try_advisory_xact_lock(%s)"

_PLAIN: Final = "SELECT to_regclass('measurements_time') IS NOT NULL"
"""The index that `layouts/plain.sql` creates. Without it, TimescaleDB drops old measurements."""

_WITHOUT_SEQSCAN: Final = "SET LOCAL enable_seqscan = off"
"""With a LIMIT, the planner expects a sequential scan to find old rows soon. Mostly there are none, as an index shows
at once.
"""

_MERGE: Final = "SELECT merge_ledger()"
"""One journal's hour in each call, by a function of the tables' owner: a writer may not delete from the ledger."""

_STATES: Final = ("device_system_status", "device_hardware", "device_presence", "sensor_status", "sensor_config")
_OF_SENSORS: Final = ("sensor_status", "sensor_config")
_CUT: Final = "least(now(), to_timestamp(%(now)s)) - make_interval(secs => %(retention)s)"
"""The time before which a row is old: by the database's clock and by this writer's."""

_DELETE: Final = f"""
WITH cut AS (
    SELECT least({_CUT}, horizon) AS moment FROM rollup WHERE horizon IS NOT NULL
), kept AS (
    UPDATE rollup SET kept_from = greatest(kept_from, date_trunc('hour', moment, 'UTC') + interval '1 hour') FROM cut
    WHERE EXISTS (SELECT FROM measurements WHERE time < moment)
)
DELETE FROM measurements WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM measurements WHERE time < (SELECT moment FROM cut) LIMIT %(most)s))
"""  # noqa: S608  (constants of this module)
"""Deletes no sample that is not aggregated yet."""

_DELETE_LOGS: Final = f"""
DELETE FROM device_logs WHERE ctid = ANY (ARRAY(SELECT ctid FROM device_logs WHERE updated_at < {_CUT} LIMIT %(most)s))
"""  # noqa: S608  (constants of this module)


_OLDEST: Final = {
    table: f"SELECT min({time}), min({time}) < {_CUT} - make_interval(secs => %(overdue)s) FROM {table}"  # noqa: S608
    for table, time in (("measurements", "time"), ("device_logs", "updated_at"))
}
_SETTINGS: Final = {"measurements": "RETENTION", "device_logs": "LOG_RETENTION"}


async def maintain(
    url: Secret,
    *,
    retention: float,
    log_retention: float,
    interval: float,
    floor: Callable[[], Position],
    stop: Stop,
    notice: float = NOTICE,
) -> None:
    """Run every `interval` seconds until `stop`. Retentions are in seconds; 0 keeps every measurement, or every line of
    a log. `floor` gives the writers' acknowledgement floor.
    """
    announced: dict[str, float] = {}

    async def due(connection: AsyncConnection[Any], table: str, seconds: float) -> bool:
        return await _due(connection, table, seconds, notice, announced)

    while not await pause(stop, interval):
        try:
            async with await AsyncConnection.connect(
                url.reveal(), prepare_threshold=None, connect_timeout=10, application_name="seve-writer maintenance"
            ) as connection:
                plain = await _plain(connection)
                if plain:
                    metrics.ROLLED_UP.inc(await _roll_up(connection, floor, stop))
                if retention and plain and await due(connection, "measurements", retention):
                    metrics.RETIRED.inc(await _retire(connection, _DELETE, retention, stop))
                for table in _STATES if retention else ():
                    metrics.RETIRED_STATES.inc(await _retire(connection, _delete_states(table), retention, stop))
                if log_retention and await due(connection, "device_logs", log_retention):
                    metrics.RETIRED_LOGS.inc(await _retire(connection, _DELETE_LOGS, log_retention, stop))
                metrics.MERGED.inc(await _merge(connection, stop))
        except psycopg.Error as error:
            log.warning("maintenance failed; it will be retried", sqlstate=error.sqlstate, error=describe(error))


async def _plain(connection: AsyncConnection[Any]) -> bool:
    async with connection.transaction():
        row = await (await connection.execute(_PLAIN)).fetchone()
        return row == (True,)


async def _roll_up(connection: AsyncConnection[Any], floor: Callable[[], Position], stop: Stop) -> int:
    """Aggregate the missing hours, at most a day per transaction; return the number of rows."""
    total = 0
    while True:
        asked = floor()
        async with connection.transaction():
            await connection.execute(REPEATABLE)
            if not asked.journal or not await _alone(connection):
                return total
            rows, more = await roll_up(connection, asked)
        total += rows
        if not more or await pause(stop, BETWEEN):
            return total


async def _due(
    connection: AsyncConnection[Any], table: str, retention: float, notice: float, announced: dict[str, float]
) -> bool:
    """Return whether old rows of a table may be deleted now: always, unless they are overdue; then `notice` seconds
    after the announcement. `announced` has the time of the announcement by table (seconds, monotonic).
    """
    async with connection.transaction():
        bounds = {"now": time.time(), "retention": retention, "overdue": OVERDUE}
        row = await (await connection.execute(_OLDEST[table], bounds)).fetchone()
    oldest, overdue = row or (None, None)
    if oldest is None or not overdue:
        announced.pop(table, None)
        return True
    if table not in announced:
        announced[table] = time.monotonic()
        log.warning(
            "rows older than the retention will be deleted; to keep them, set it longer and restart the writers",
            table=table,
            setting=_SETTINGS[table],
            retention=duration_text(retention),
            oldest=oldest.isoformat(),
            not_before=duration_text(notice),
        )
    return time.monotonic() - announced[table] >= notice


async def _retire(connection: AsyncConnection[Any], statement: str, retention: float, stop: Stop) -> int:
    """Delete rows older than `retention` seconds, DELETED_AT_ONCE per transaction; return the number of rows."""
    total = 0
    while True:
        async with connection.transaction():
            if not await _alone(connection):
                return total
            await connection.execute(_WITHOUT_SEQSCAN)
            bounds = {"now": time.time(), "retention": retention, "most": DELETED_AT_ONCE}
            gone = (await connection.execute(statement, bounds)).rowcount
        total += gone
        if gone < DELETED_AT_ONCE or await pause(stop, BETWEEN):
            return total


def _delete_states(table: str) -> str:
    """Return the statement that deletes old rows of one state table: rows of modules that have nothing younger in any
    table, and rows of sensors that later reports of their module no longer name.

    A device may report its hardware once and then run for years: such a row stays as long as the module sends anything.
    """
    of_module = f"SELECT FROM {{}} AS young WHERE young.module_id = old.module_id AND young.updated_at >= {_CUT}"
    heard = [of_module.format(each) for each in _STATES]
    heard.append("SELECT FROM measurements AS young WHERE young.module_id = old.module_id")
    gone = " AND ".join(f"NOT EXISTS ({each})" for each in heard)
    unnamed = f" OR EXISTS ({of_module.format(table)})" if table in _OF_SENSORS else ""
    old = f"updated_at < {_CUT}"
    return (
        f"DELETE FROM {table} WHERE {old} AND ctid = ANY (ARRAY("  # noqa: S608  (constants of this module)
        f"SELECT ctid FROM {table} AS old WHERE {old} AND ({gone}{unnamed}) LIMIT %(most)s))"
    )


async def _merge(connection: AsyncConnection[Any], stop: Stop) -> int:
    """Merge ledger rows hour by hour, oldest first; return the number of rows merged."""
    total = 0
    while True:
        async with connection.transaction():
            if not await _alone(connection):
                return total
            row: tuple[int] | None = await (await connection.execute(_MERGE)).fetchone()
        if row is None or row[0] == 0:
            return total
        total += row[0]
        if await pause(stop, BETWEEN):
            return total


async def _alone(connection: AsyncConnection[Any]) -> bool:
    row = await (await connection.execute(_ALONE, (_LOCK,))).fetchone()
    return row == (True,)
