"""The writer's database connection: opened when needed, one transaction at a time. A transaction writes states, ledger
and rows together, or nothing. Handles no error: it raises them.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import AsyncConnection, pq
from psycopg.pq.abc import PGresult
from seve_runtime.settings import Secret
from seve_schema.position import SEQUENCE_BITS
from seve_schema.times import format_time

from seve_writer.database import sql
from seve_writer.database.multi_statement import run
from seve_writer.database.transaction import LedgerCounts, Transaction, outcome

Verify = Callable[[AsyncConnection[Any]], Awaitable[None]]


class Store:
    """Runs transactions. Calls `verify` with every new connection before using it."""

    def __init__(self, url: Secret, timeout: float, verify: Verify) -> None:
        self._url = url
        self._timeout = timeout
        self._verify = verify
        self._connection: AsyncConnection[Any] | None = None
        self._bases: dict[int, int] = {}

    async def write(self, transaction: Transaction, *, upsert: bool = False, unlimited: bool = False) -> LedgerCounts:
        """Run one transaction: with `upsert` if rows may exist already, with `unlimited` to lift TimescaleDB's limit.

        Raises psycopg.Error, SchemaError or TimeoutError. After a lost connection or a timeout it is unknown whether
        the transaction committed; after any other error it did not.
        """
        async with self._connected() as connection:
            return await self._transact(connection, transaction, upsert=upsert, unlimited=unlimited)

    async def chips(self, modules: Iterable[str]) -> dict[str, str]:
        """Return the stored chip ids of `modules`, by module. Raises as `write`."""
        async with self._connected() as connection:
            return dict(await (await connection.execute(sql.CHIPS, [list(modules)])).fetchall())

    async def probe(self) -> None:
        """Run an empty query. Raises as `write`."""
        async with self._connected() as connection:
            await run(connection, ["SELECT 1"])

    async def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection[Any]]:
        """Yield the open connection for at most the timeout; roll back or close it after an error."""
        async with asyncio.timeout(self._timeout):
            connection = await self._open()
            try:
                yield connection
            except BaseException:
                await self._abandon(connection)
                raise

    async def _transact(
        self, connection: AsyncConnection[Any], transaction: Transaction, *, upsert: bool, unlimited: bool
    ) -> LedgerCounts:
        begin = ["BEGIN", sql.WITHOUT_DECOMPRESSION_LIMIT] if unlimited else ["BEGIN"]
        base = await self._base(connection, transaction.journal) if transaction.rows else 0
        fresh = changed = 0
        if transaction.rounds:
            done = await run(connection, begin + sql.states(transaction, _quote(connection)))
            fresh, changed = _applied(done)
            begin = []
        if upsert and transaction.rows:
            if begin:
                await run(connection, begin)
            inserted, updated = await _upsert(connection, transaction, base)
            counts = outcome(transaction, inserted=inserted, updated=updated, fresh=fresh, changed=changed)
            await run(connection, [sql.ledger(transaction, counts), "COMMIT"])
            return counts
        counts = outcome(transaction, inserted=len(transaction.rows), updated=0, fresh=fresh, changed=changed)
        copy = [sql.COPY] if transaction.rows else []
        copied = sql.copy_data(transaction.rows, base)
        await run(connection, [*begin, sql.ledger(transaction, counts), *copy, "COMMIT"], copied)
        return counts

    async def _base(self, connection: AsyncConnection[Any], journal: int) -> int:
        """Return the position before a journal's first: its number in the upper bits. Cached for a connection."""
        while (base := self._bases.get(journal)) is None:
            created = {"created": format_time(journal)}
            for (number,) in await (await connection.execute(sql.NUMBER_OF, created)).fetchall():
                self._bases[journal] = number << SEQUENCE_BITS
        return base

    async def _open(self) -> AsyncConnection[Any]:
        if self._connection is None or self._connection.closed:
            connection = await AsyncConnection.connect(
                self._url.reveal(),
                autocommit=True,
                prepare_threshold=None,  # PgBouncer: the next transaction may be on another server connection
                application_name="seve-writer",
                connect_timeout=max(2, int(self._timeout)),
            )
            try:
                await self._verify(connection)
            except BaseException:
                await connection.close()
                raise
            self._connection, self._bases = connection, {}
        return self._connection

    async def _abandon(self, connection: AsyncConnection[Any]) -> None:
        """Roll back after a failure; close the connection if it is not idle then."""
        if connection.pgconn.transaction_status == pq.TransactionStatus.INERROR:
            try:
                await run(connection, ["ROLLBACK"])
            except psycopg.Error:  # the failure itself is being raised; this connection is given up below
                await connection.close()
        if connection.pgconn.transaction_status != pq.TransactionStatus.IDLE:
            await connection.close()


def _quote(connection: AsyncConnection[Any]) -> sql.Quote:
    escaping = pq.Escaping(connection.pgconn)
    return lambda text: bytes(escaping.escape_literal(text.encode())).decode()


def _applied(results: list[PGresult]) -> tuple[int, int]:
    """Count the reports that created a row and those that only changed some. The position in a row names its report."""
    created: dict[bytes, bool] = {}
    for result in results:
        if result.status != pq.ExecStatus.TUPLES_OK:
            continue
        for row in range(result.ntuples):
            position = result.get_value(row, 0) or b""
            created[position] = created.get(position, False) or result.get_value(row, 1) == b"t"
    fresh = sum(created.values())
    return fresh, len(created) - fresh


async def _upsert(connection: AsyncConnection[Any], transaction: Transaction, base: int) -> tuple[int, int]:
    modules, sensors, hardware, times, values, sequences = zip(*transaction.rows, strict=True)
    names = [list(modules), list(sensors), list(hardware)]
    positions = [base + sequence for sequence in sequences]
    arrays = [*names, [format_time(time) for time in times], list(values), positions]
    row = await (await connection.execute(sql.UPSERT, arrays)).fetchone()
    return row or (0, 0)
