"""Queries the history service over NATS. Reads no database.

Open queries, which count until the client has read the answer: bound `MOST`; overflow rule: refuse with 503; counter:
`seve_broadcaster_refused_requests_total{reason="history"}`.
"""

import asyncio
from http import HTTPStatus
from typing import Final, NamedTuple

import msgspec
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from seve_runtime.errors import describe
from seve_schema.history import (
    ERROR_CODE,
    ERROR_TEXT,
    LOGS_SUBJECT,
    MODULE_SUBJECT,
    POSITION,
    SERIES_SUBJECT,
    LogsRequest,
    ModuleRequest,
    SeriesRequest,
)
from seve_schema.position import Position

from seve_broadcaster.fanout.hub import Hub

MOST: Final = 32
BEYOND: Final = 1.0
"""Seconds added to QUERY_TIMEOUT, the time that the query itself may take: for the way there and back."""
_LOOK: Final = 0.01

_encode: Final = msgspec.json.Encoder().encode


class NoAnswer(Exception):
    """A query that has no answer. `status` is the HTTP status, `reason` one line for the client."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = HTTPStatus(status)
        self.reason = reason


class Query(NamedTuple):
    """An encoded query and its subject."""

    subject: str
    data: bytes


def series(request: SeriesRequest) -> Query:
    """Return the query for samples of a module."""
    return Query(SERIES_SUBJECT, _encode(request))


def module(request: ModuleRequest) -> Query:
    """Return the query for the series and the state of a module."""
    return Query(MODULE_SUBJECT, _encode(request))


def logs(request: LogsRequest) -> Query:
    """Return the query for lines of a module's log."""
    return Query(LOGS_SUBJECT, _encode(request))


class History:
    """The history service. `open` is the number of open queries; the caller counts its own up and down."""

    def __init__(self, client: Client, hub: Hub, timeout: float) -> None:
        self._client = client
        self._hub = hub
        self._timeout = timeout + BEYOND
        self.open = 0

    async def ask(self, query: Query) -> bytes:
        """Return the body of the answer to a query. Raises NoAnswer."""
        if not self._client.is_connected:
            raise NoAnswer(503, "NATS does not answer, so there is no history")
        try:
            answer = await self._client.request(query.subject, query.data, timeout=self._timeout)
        except NoRespondersError as error:
            raise NoAnswer(503, "the history service is not running") from error
        except TimeoutError as error:
            raise NoAnswer(503, "the history service does not answer") from error
        except (NatsError, OSError) as error:
            raise NoAnswer(503, f"the history service does not answer: {describe(error)}") from error
        headers = answer.headers or {}
        if ERROR_CODE in headers:
            raise NoAnswer(int(headers[ERROR_CODE]), headers.get(ERROR_TEXT, ""))
        await self._reach(Position.parse(headers[POSITION]))
        return bytes(answer.data)

    async def _reach(self, position: Position) -> None:
        """Wait until this broadcaster has read the journal up to `position`, so that a client can subscribe from there.

        Writers may be a moment ahead of it. Raises NoAnswer.
        """
        try:
            async with asyncio.timeout(self._timeout):
                while self._hub.head < position:  # noqa: ASYNC110  (seldom, and for a moment)
                    await asyncio.sleep(_LOOK)
        except TimeoutError as error:
            raise NoAnswer(503, "this server is behind the database; try again") from error
