"""Periodic work of one writer at a time: deletes old measurements unless TimescaleDB does, merges the ledger of past
days into hours. Runs small transactions under a transaction-level lock, which works behind a transaction-pooling
PgBouncer too. Failures are logged and retried; they never stop a writer from writing batches.

A measurement is old if two clocks agree, the database's and this writer's: a clock that jumped ahead deletes nothing.
"""

import time
from typing import Any, Final

import psycopg
import structlog
from psycopg import AsyncConnection
from seve_runtime.errors import describe
from seve_runtime.lifecycle import Stop, pause
from seve_runtime.settings import Secret

from seve_writer import metrics

log = structlog.get_logger()

DELETED_AT_ONCE: Final = 5000
BETWEEN: Final = 0.05
"""Seconds between two transactions, so that a large deletion leaves room for others."""

_LOCK: Final = 0x5E7E_0002
_ALONE: Final = "SELECT pg_try_advisory_xact_lock(%s)"

_PLAIN: Final = "SELECT to_regclass('measurements_time') IS NOT NULL"
"""The index that `layouts/plain.sql` creates. Without it, TimescaleDB drops old measurements."""

_WITHOUT_SEQSCAN: Final = "SET LOCAL enable_seqscan = off"
"""With a LIMIT the planner expects a sequential scan to find old rows soon. The index shows that there are none."""

_DELETE: Final = """
DELETE FROM measurements WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM measurements
    WHERE time < least(now(), to_timestamp(%s)) - make_interval(secs => %s) LIMIT %s))
"""

_MERGE: Final = """
WITH slot AS (
    SELECT journal, date_trunc('hour', committed_at, 'UTC') AS hour
    FROM ledger WHERE committed_at < now() - interval '1 day'
    GROUP BY 1, 2 HAVING count(*) > 1 ORDER BY 2 LIMIT 1
), gone AS (
    DELETE FROM ledger USING slot
    WHERE ledger.journal = slot.journal AND committed_at >= hour AND committed_at < hour + interval '1 hour'
    RETURNING ledger.*
), merged AS (
    INSERT INTO ledger (journal, sequences, received, inserted, updated, replaced, dead, ignored, committed_at)
    SELECT journal, range_agg(sequences), sum(received), sum(inserted), sum(updated), sum(replaced), sum(dead),
           sum(ignored), max(committed_at)
    FROM gone GROUP BY journal
) SELECT count(*) FROM gone
"""


async def maintain(url: Secret, retention: float, interval: float, stop: Stop) -> None:
    """Run every `interval` seconds until `stop`. `retention` is in seconds; 0 keeps every measurement."""
    while not await pause(stop, interval):
        try:
            async with await AsyncConnection.connect(
                url.reveal(), prepare_threshold=None, connect_timeout=10, application_name="seve-writer maintenance"
            ) as connection:
                if retention and await _plain(connection):
                    metrics.RETIRED.inc(await _retire(connection, retention, stop))
                metrics.MERGED.inc(await _merge(connection, stop))
        except psycopg.Error as error:
            log.warning("maintenance failed; it will be retried", sqlstate=error.sqlstate, error=describe(error))


async def _plain(connection: AsyncConnection[Any]) -> bool:
    async with connection.transaction():
        row = await (await connection.execute(_PLAIN)).fetchone()
        return row == (True,)


async def _retire(connection: AsyncConnection[Any], retention: float, stop: Stop) -> int:
    """Delete measurements older than `retention`, DELETED_AT_ONCE per transaction; return the number of rows."""
    total = 0
    while True:
        async with connection.transaction():
            if not await _alone(connection):
                return total
            await connection.execute(_WITHOUT_SEQSCAN)
            gone = (await connection.execute(_DELETE, (time.time(), retention, DELETED_AT_ONCE))).rowcount
        total += gone
        if gone < DELETED_AT_ONCE or await pause(stop, BETWEEN):
            return total


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
