"""A pool of a few connections to PostgreSQL, opened when needed, each for one query at a time.

Queries that wait for a connection: bound `waiting`; overflow rule: refuse with 503; gauge:
`seve_history_waiting_requests`. A connection that is not idle after its query is closed, and the unused ones with it,
since the server may be gone.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from psycopg import AsyncConnection, IsolationLevel, pq
from seve_runtime.settings import Secret

from seve_history.errors import Refused

CONNECT_SECONDS: Final = 5
Connection = AsyncConnection[Any]


class Pool:
    """At most `size` connections. `verify` is called with each new one before it is used."""

    def __init__(self, url: Secret, size: int, waiting: int, verify: Callable[[Connection], Awaitable[None]]) -> None:
        self._url = url
        self._most_waiting = waiting
        self._verify = verify
        self._free: list[Connection] = []
        self._turns = asyncio.Semaphore(size)
        self.waiting = 0

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection for one query. Raises Refused, psycopg.Error and SchemaError."""
        if self.waiting >= self._most_waiting:
            raise Refused(503, "too many history queries wait")
        self.waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self.waiting -= 1
        try:
            connection = self._free.pop() if self._free else await self._open()
            try:
                yield connection
            finally:
                if connection.pgconn.transaction_status == pq.TransactionStatus.IDLE:
                    self._free.append(connection)
                else:
                    await connection.close()
                    await self.close()
        finally:
            self._turns.release()

    async def close(self) -> None:
        """Close the unused connections."""
        while self._free:
            await self._free.pop().close()

    async def _open(self) -> Connection:
        connection: Connection = await AsyncConnection.connect(
            self._url.reveal(),
            prepare_threshold=None,  # PgBouncer: the next transaction may be on another server connection
            application_name="seve-history",
            connect_timeout=CONNECT_SECONDS,
        )
        try:
            await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
            await connection.set_read_only(True)
            async with connection.transaction():
                await self._verify(connection)
        except BaseException:
            await connection.close()
            raise
        return connection
