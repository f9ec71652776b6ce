"""Routes HTTP requests on the WebSocket port to their answers. `admission` decides which requests are allowed."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from http import HTTPStatus
from typing import Any, Final, cast
from urllib.parse import unquote, urlsplit

from seve_runtime.clock import micros
from seve_schema.history import ModuleRequest
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from seve_broadcaster.auth.jwt import Keys
from seve_broadcaster.fanout.hub import Hub
from seve_broadcaster.history import MOST, History, NoAnswer, Query, logs, module, series
from seve_broadcaster.protocol import history_query
from seve_broadcaster.protocol.requests import Refusal
from seve_broadcaster.settings import Settings
from seve_broadcaster.websocket import http
from seve_broadcaster.websocket.admission import Admission, single
from seve_broadcaster.websocket.answers import Answers, Busy
from seve_broadcaster.websocket.connection import Peer

MODULE: Final = "/api/modules/"
"""The prefix of paths that name a module."""


class Router:
    """Answers requests. `refused` counts by reason."""

    def __init__(self, settings: Settings, keys: Keys, hub: Hub, history: History) -> None:
        self.keys = keys
        self._admission = Admission(settings, keys)
        self._answers = Answers(hub)
        self._hub = hub
        self._history = history
        self._pages = http.static_pages()
        self._asking = {"/api/history": self._series, "/api/logs": self._logs}
        self.refused = self._admission.refused

    def answer(self, connection: ServerConnection, request: Request) -> Awaitable[Response] | None:
        """Answer a request; return None to continue the WebSocket handshake."""
        peer, url = cast("Peer", connection), urlsplit(request.path)
        path = url.path
        checked = self._admission.check(request)
        if isinstance(checked, Response):
            return peer.answer(checked)
        peer.grant = checked
        if path == "/ws":
            return None
        if path == "/api/modules":
            return self._modules(peer)
        if asking := self._asking.get(path):
            return self._of_history(peer, lambda: asking(peer, url.query))
        if path.startswith(MODULE):
            return self._of_history(peer, lambda: self._module(peer, unquote(path.removeprefix(MODULE))))
        file = http.page(self._pages, path, single(request, "If-None-Match"))
        return peer.answer(file or http.plain(HTTPStatus.NOT_FOUND, "not found"))

    async def _modules(self, peer: Peer) -> Response:
        try:
            answer = self._answers.take(peer.grant, peer.loop.time(), micros())
        except Busy:
            self.refused["busy"] += 1
            later = {"Retry-After": "1"}
            return await peer.answer(http.plain(HTTPStatus.SERVICE_UNAVAILABLE, "too many answers are unread", later))
        try:
            return await peer.answer(http.json(answer.body))
        finally:
            self._answers.release(answer)

    def _series(self, peer: Peer, query: str) -> Query:
        """Return the query for samples. Raises Refusal and NoAnswer."""
        request = history_query.parse(query, journal=self._hub.head.journal, now=micros())
        return series(request) if peer.grant.allows(request.module) else _forbidden()

    def _logs(self, peer: Peer, query: str) -> Query:
        """Return the query for lines of a log. Raises Refusal and NoAnswer."""
        request = history_query.parse_logs(query, journal=self._hub.head.journal, now=micros())
        return logs(request) if peer.grant.allows(request.module) else _forbidden()

    def _module(self, peer: Peer, name: str) -> Query:
        """Return the query for a module. Raises NoAnswer."""
        request = ModuleRequest(module=name, journal=self._hub.head.journal)
        return module(request) if peer.grant.allows(name) else _forbidden()

    async def _of_history(self, peer: Peer, query: Callable[[], Query]) -> Response:
        """Query the history service, and pass on its answer."""
        if self._history.open >= MOST:
            self.refused["history"] += 1
            busy = http.plain(HTTPStatus.SERVICE_UNAVAILABLE, "too many history queries are open", {"Retry-After": "1"})
            return await peer.answer(busy)
        self._history.open += 1
        peer.opened()
        try:
            return await peer.answer(http.json(await _while_open(peer, self._history.ask(query()))))
        except Refusal as refusal:
            return await peer.answer(http.plain(HTTPStatus.BAD_REQUEST, refusal.explanation))
        except NoAnswer as error:
            return await peer.answer(http.plain(error.status, error.reason))
        finally:
            self._history.open -= 1


async def _while_open(peer: Peer, asking: Coroutine[Any, Any, bytes]) -> bytes:
    """Await an answer as long as the client is connected. Raises NoAnswer."""
    task, gone = asyncio.ensure_future(asking), asyncio.ensure_future(peer.wait_closed())
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise NoAnswer(HTTPStatus.SERVICE_UNAVAILABLE, "the client has disconnected")
        return task.result()
    finally:
        task.cancel()
        gone.cancel()


def _forbidden() -> Query:
    raise NoAnswer(HTTPStatus.FORBIDDEN, "the token does not allow that module")
