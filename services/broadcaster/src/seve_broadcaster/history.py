"""Asks the history service over NATS. Reads no database, and says in one line why there is no answer.

Questions in hand, their answers included until they are read: bound `MOST`; overflow rule: refuse with 503; counter:
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
"""Seconds that an answer may take longer than the question: the way there and back."""
_LOOK: Final = 0.01

_encode: Final = msgspec.json.Encoder().encode


class NoAnswer(Exception):
    """A question without an answer: an HTTP status, and the reason in one line."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = HTTPStatus(status)
        self.reason = reason


class Asked(NamedTuple):
    """A subject and a question for it."""

    subject: str
    data: bytes


def series(question: SeriesRequest) -> Asked:
    """Return what is sent for the samples of a module."""
    return Asked(SERIES_SUBJECT, _encode(question))


def module(question: ModuleRequest) -> Asked:
    """Return what is sent for what is known of a module."""
    return Asked(MODULE_SUBJECT, _encode(question))


def logs(question: LogsRequest) -> Asked:
    """Return what is sent for lines of a module's log."""
    return Asked(LOGS_SUBJECT, _encode(question))


class History:
    """Questions and answers. `hands` is how many are in hand; whoever asks counts itself in and out."""

    def __init__(self, client: Client, hub: Hub, timeout: float) -> None:
        self._client = client
        self._hub = hub
        self._timeout = timeout + BEYOND
        self.hands = 0

    async def ask(self, asked: Asked) -> bytes:
        """Return the body of an answer. Raises NoAnswer."""
        if not self._client.is_connected:
            raise NoAnswer(503, "NATS is away, and history with it")
        try:
            answer = await self._client.request(asked.subject, asked.data, timeout=self._timeout)
        except NoRespondersError as error:
            raise NoAnswer(503, "the history service is away") from error
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
        """Wait until this broadcaster has the journal up to `position`: whoever subscribes from there is served.

        Writers may be a moment ahead. Raises NoAnswer.
        """
        try:
            async with asyncio.timeout(self._timeout):
                while self._hub.head < position:  # noqa: ASYNC110  (seldom, and for a moment)
                    await asyncio.sleep(_LOOK)
        except TimeoutError as error:
            raise NoAnswer(503, "this server is behind the database: ask again") from error
