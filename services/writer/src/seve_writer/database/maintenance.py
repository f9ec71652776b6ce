"""What has to be done now and then, by one writer at a time: old measurements deleted where no TimescaleDB does it, and
the ledger of past days merged into hours. Small transactions under a transaction-level lock, which holds behind a
transaction-pooling PgBouncer too; failures are told and tried again, and never stop a writer from batch_writer.

What is old is old by two clocks, the database's and this writer's: one that jumped ahead deletes nothing.
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
"""The index that `layouts/plain.sql` makes: without it TimescaleDB drops what is old."""

_WITHOUT_SEQSCAN: Final = "SET LOCAL enable_seqscan = off"
"""A LIMIT makes the planner hope to find old rows soon anywhere; the index knows that there are none."""

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
    """Do it every `interval` seconds until `stop`; `retention` in seconds, 0 keeps every measurement."""
    while not await pause(stop, interval):
        try:
            async with await AsyncConnection.connect(
                url.reveal(), prepare_threshold=None, connect_timeout=10, application_name="seve-writer maintenance"
            ) as connection:
                if retention and await _plain(connection):
                    metrics.RETIRED.inc(await _retire(connection, retention, stop))
                metrics.MERGED.inc(await _merge(connection, stop))
        except psycopg.Error as error:
            log.warning("maintenance failed; it is tried again", sqlstate=error.sqlstate, error=describe(error))


async def _plain(connection: AsyncConnection[Any]) -> bool:
    async with connection.transaction():
        row = await (await connection.execute(_PLAIN)).fetchone()
        return row == (True,)


async def _retire(connection: AsyncConnection[Any], retention: float, stop: Stop) -> int:
    """Delete what is older than `retention`, some at a time; how many rows that was."""
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
    """Merge hour after hour, oldest first; how many rows went into others."""
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
