"""Answers queries over NATS, each in a task of its own, within QUERY_TIMEOUT. Does not decide what an answer contains.

Open queries: bound by the pool (`QUERY_CONNECTIONS` and `QUERY_MAX_WAITING`); overflow rule: refuse with 503.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import msgspec
import psycopg
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from seve_runtime.errors import describe
from seve_runtime.health import Health
from seve_runtime.lifecycle import Stop, pause
from seve_schema.history import (
    ERROR_CODE,
    ERROR_TEXT,
    LOGS_SUBJECT,
    MODULE_SUBJECT,
    POSITION,
    QUEUE,
    SERIES_SUBJECT,
    LogsRequest,
    ModuleRequest,
    SeriesRequest,
)

from seve_history import answers, metrics
from seve_history.ack_floor import AckFloor
from seve_history.answers import Answer
from seve_history.database.consistent_read import ConsistentRead, consistent_read
from seve_history.database.pool import Pool
from seve_history.errors import Refused, SchemaError
from seve_history.query.bounds import AnswerBounds, check, check_lines, check_text
from seve_history.settings import HistorySettings

log = structlog.get_logger()

DATABASE: Final = "database"
"""The readiness condition that this module sets."""

LOOK_SECONDS: Final = 5.0
"""Seconds between two checks whether the database answers."""

HEADER_BYTES: Final = 1024
"""Room for the headers of an answer, which count as payload."""

T = TypeVar("T", SeriesRequest, ModuleRequest, LogsRequest)


class Responder:
    """Takes queries from `client`, and reads from `pool`."""

    def __init__(self, client: Client, pool: Pool, settings: HistorySettings, health: Health) -> None:
        self._client = client
        self._pool = pool
        self._floor = AckFloor(client)
        self._bounds = AnswerBounds(settings.query_max_points, settings.query_max_range)
        self._timeout = settings.query_timeout
        self._health = health
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, stop: Stop) -> None:
        """Answer until `stop`, then finish the open queries."""
        await self._look()
        subscriptions = [
            await self._client.subscribe(SERIES_SUBJECT, QUEUE, cb=self._taker("series", SeriesRequest, self._series)),
            await self._client.subscribe(MODULE_SUBJECT, QUEUE, cb=self._taker("module", ModuleRequest, self._module)),
            await self._client.subscribe(LOGS_SUBJECT, QUEUE, cb=self._taker("logs", LogsRequest, self._logs)),
        ]
        log.info("ready")
        while not await pause(stop, LOOK_SECONDS):
            await self._look()
        if self._client.is_connected:
            for subscription in subscriptions:
                await subscription.drain()  # type: ignore[no-untyped-call]
        await asyncio.gather(*self._tasks)

    async def _look(self) -> None:
        """Check the database and set the readiness condition. Logs an unreachable database once."""
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._pool.connection() as connection,
                connection.transaction(),
            ):
                await connection.execute("SELECT 1")
        except (psycopg.Error, SchemaError, OSError, Refused) as error:  # TimeoutError is an OSError
            if isinstance(error, Refused):  # the pool is busy: the next check decides
                return
            if DATABASE not in self._health.reasons or self._health.reasons[DATABASE] == "starting":
                log.warning("the database cannot be read", error=describe(error))
            self._health.fails(DATABASE, describe(error))
        else:
            self._health.holds(DATABASE)

    def _taker(
        self, of: str, kind: type[T], answer: Callable[[ConsistentRead, T], Awaitable[Answer]]
    ) -> Callable[[Msg], Awaitable[None]]:
        decode = msgspec.json.Decoder(kind).decode

        async def take(message: Msg) -> None:
            task = asyncio.create_task(self._answer(of, message, decode, answer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        return take

    async def _answer(self, of: str, message: Msg, decode: Callable[[bytes], Any], answer: Callable[..., Any]) -> None:
        with metrics.ANSWER_SECONDS.labels(of).time():
            try:
                position, body = await self._read(decode(message.data), answer)
            except Exception as error:  # the client gets an answer whatever the error is
                refused = _refusal(error)
                metrics.REQUESTS.labels(of, refused.status).inc()
                headers = {ERROR_CODE: str(refused.status), ERROR_TEXT: refused.reason}
                await self._client.publish(message.reply, b"", headers=headers)
            else:
                metrics.REQUESTS.labels(of, 200).inc()
                await self._client.publish(message.reply, body, headers={POSITION: str(position)})

    async def _read(self, asked: T, answer: Callable[[ConsistentRead, T], Awaitable[Answer]]) -> Answer:
        check_text(asked)
        async with asyncio.timeout(self._timeout):
            floor = await self._floor.of(asked.journal)
            async with (
                self._pool.connection() as connection,
                consistent_read(connection, asked.journal, floor, self._timeout) as opened,
            ):
                position, body = await answer(opened, asked)
        if len(body) > (most := self._client.max_payload - HEADER_BYTES):
            raise Refused(400, f"the answer has more than {most} bytes, too many for NATS: ask for less")
        return position, body

    async def _series(self, opened: ConsistentRead, asked: SeriesRequest) -> Answer:
        check(asked, self._bounds)
        return await answers.of_series(opened, asked, self._bounds)

    async def _module(self, opened: ConsistentRead, asked: ModuleRequest) -> Answer:
        return await answers.of_module(opened, asked, self._bounds)

    async def _logs(self, opened: ConsistentRead, asked: LogsRequest) -> Answer:
        check_lines(asked, self._bounds)
        return await answers.of_logs(opened, asked)


def _refusal(error: Exception) -> Refused:
    """Return the refusal for an error; log it if this service is at fault."""
    match error:
        case Refused():
            return error
        case TimeoutError() | psycopg.errors.QueryCanceled():
            return Refused(503, "history took longer than QUERY_TIMEOUT: ask for less")
        case psycopg.Error() | SchemaError() | OSError():
            log.warning("the database cannot be read", error=describe(error))
            return Refused(503, "the database cannot be read")
        case msgspec.DecodeError():
            return Refused(400, f"not a history query: {describe(error)}")
        case _:
            log.error("a query failed", exc_info=error)
            return Refused(500, "history failed")
