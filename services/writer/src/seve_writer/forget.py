"""`seve-writer forget`: removes modules' rows from every table, their newest values from LATEST, and the modules from
the broadcasters' memory. Does not touch the ledger, which names no module; the journal and the dead letters, which
expire; and messages that a broker retains, which `./seve forget` clears.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import psycopg
from nats.errors import Error as NatsError
from psycopg import AsyncConnection, sql
from seve_runtime.errors import SeveError, describe
from seve_runtime.nats.connection import connected_once
from seve_runtime.nats.topology import LATEST
from seve_schema.simulated import NAME
from seve_schema.subjects import forget_subject, latest_subject

from seve_writer.database.sql import WITHOUT_DECOMPRESSION_LIMIT
from seve_writer.settings import AuditSettings

TABLES: Final = (
    "measurements",
    "measurements_hourly",
    "device_system_status",
    "device_hardware",
    "device_presence",
    "device_logs",
    "sensor_status",
    "sensor_config",
)
AT_ONCE: Final = 20_000
"""Rows deleted in one transaction: between two transactions, writers get their turn."""

_KIND: Final = "SELECT relkind FROM pg_class WHERE oid = to_regclass(%s)"
_COUNT: Final = "SELECT count(*) FROM {} WHERE module_id = ANY (%s)"
_DELETE: Final = (
    "DELETE FROM {table} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {table} WHERE module_id = ANY (%s) LIMIT %s))"
)
_EXTENT: Final = "SELECT date_trunc('day', min(time), 'UTC'), max(time) FROM measurements WHERE module_id = ANY (%s)"
_DELETE_OF_A_DAY: Final = "DELETE FROM measurements WHERE module_id = ANY (%s) AND time >= %s AND time < %s"
_SIMULATED: Final = """
SELECT module_id FROM device_presence WHERE module_id ~ %(name)s UNION
SELECT module_id FROM device_system_status WHERE module_id ~ %(name)s UNION
SELECT module_id FROM sensor_config WHERE module_id ~ %(name)s ORDER BY module_id"""
"""Reads the tables that have few rows per module. `sensor_config` is the last of TABLES: an interrupted command, run
again, still finds its modules there.
"""
_AGGREGATE: Final = "v"
"""The relkind of measurements_hourly with TimescaleDB, where it is a view. It follows measurements by itself, except
for hours older than RETENTION, which stay.
"""


class ForgetFailed(SeveError):
    """NATS or the database did not answer. Some rows may be removed already; the command can be run again."""


async def forget(
    settings: AuditSettings,
    module: str | None,
    confirm: Callable[[Sequence[str], Mapping[str, int]], bool],
    removed: Callable[[str, int], None],
) -> bool:
    """Remove `module`, or every simulated one if it is None. `confirm` is called first, with the modules and the number
    of rows by table; `removed` is called with each table and the number of rows removed from it so far.

    Return False if `confirm` did. Raises ForgetFailed.
    """
    try:
        async with await AsyncConnection.connect(
            settings.database_url.reveal(), autocommit=True, prepare_threshold=None, connect_timeout=10
        ) as connection:
            tables = [table for table in TABLES if await _kind(connection, table) not in (None, _AGGREGATE)]
            modules = await _simulated(connection) if module is None else [module]
            if not confirm(modules, {table: await _count(connection, table, modules) for table in tables}):
                return False
            await _forget_newest(settings, modules)
            by_day = await _kind(connection, "measurements_hourly") == _AGGREGATE
            for table in tables:
                if by_day and table == "measurements":
                    await delete_by_day(connection, modules, removed)
                else:
                    await _delete(connection, table, modules, removed)
    except psycopg.Error as error:
        raise ForgetFailed(f"the database does not answer (DATABASE_URL): {describe(error)}") from error
    except (NatsError, OSError) as error:
        raise ForgetFailed(f"NATS does not answer (NATS_URL): {describe(error)}") from error
    return True


async def _simulated(connection: AsyncConnection[Any]) -> list[str]:
    rows = await (await connection.execute(_SIMULATED, {"name": NAME})).fetchall()
    return [name for (name,) in rows]


async def _forget_newest(settings: AuditSettings, modules: Sequence[str]) -> None:
    """Remove newest values: from the broadcasters first, since one that still had a module would save it again."""
    async with connected_once(settings.nats, "seve-writer forget") as client:
        for module in modules:
            await client.publish(forget_subject(module))
        await client.flush()
        for module in modules:
            await client.jetstream().purge_stream(LATEST, subject=latest_subject(module))


async def _kind(connection: AsyncConnection[Any], table: str) -> str | None:
    row = await (await connection.execute(_KIND, (table,))).fetchone()
    return row[0] if row else None


async def _count(connection: AsyncConnection[Any], table: str, modules: Sequence[str]) -> int:
    query = sql.SQL(_COUNT).format(sql.Identifier(table))
    row = await (await connection.execute(query, (list(modules),))).fetchone()
    return row[0] if row else 0


async def _delete(
    connection: AsyncConnection[Any], table: str, modules: Sequence[str], removed: Callable[[str, int], None]
) -> None:
    query = sql.SQL(_DELETE).format(table=sql.Identifier(table))
    total = 0
    while True:
        gone = (await connection.execute(query, (list(modules), AT_ONCE))).rowcount
        total += gone
        removed(table, total)
        if gone < AT_ONCE:
            return


async def delete_by_day(
    connection: AsyncConnection[Any], modules: Sequence[str], removed: Callable[[str, int], None]
) -> None:
    """Delete samples from a hypertable, one day (one chunk) per transaction. A limit by ctid is impossible there: rows
    of different chunks may have the same one, and compressed rows have none.
    """
    row = await (await connection.execute(_EXTENT, (list(modules),))).fetchone()
    day, last = row or (None, None)
    total = 0
    while day is not None and day <= last:
        async with connection.transaction():
            await connection.execute(WITHOUT_DECOMPRESSION_LIMIT)
            following = day + timedelta(days=1)
            total += (await connection.execute(_DELETE_OF_A_DAY, (list(modules), day, following))).rowcount
        removed("measurements", total)
        day = following
