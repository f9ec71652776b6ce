"""Routes HTTP requests on the WebSocket port to their answers. `admission` decides which requests are allowed."""

from collections.abc import Awaitable
from http import HTTPStatus
from typing import cast
from urllib.parse import urlsplit

from seve_runtime.clock import micros
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from seve_broadcaster.auth.jwt import Keys
from seve_broadcaster.fanout.hub import Hub
from seve_broadcaster.settings import Settings
from seve_broadcaster.websocket import http
from seve_broadcaster.websocket.admission import Admission, single
from seve_broadcaster.websocket.answers import Answers, Busy
from seve_broadcaster.websocket.connection import Peer


class Router:
    """Answers requests. `refused` counts by reason."""

    def __init__(self, settings: Settings, keys: Keys, hub: Hub) -> None:
        self._admission = Admission(settings, keys)
        self._answers = Answers(hub)
        self._pages = http.static_pages()
        self.refused = self._admission.refused

    def answer(self, connection: ServerConnection, request: Request) -> Awaitable[Response] | None:
        """Answer a request; return None to continue the WebSocket handshake."""
        peer, path = cast("Peer", connection), urlsplit(request.path).path
        checked = self._admission.check(request)
        if isinstance(checked, Response):
            return peer.answer(checked)
        peer.grant = checked
        if path == "/ws":
            return None
        if path == "/api/modules":
            return self._modules(peer)
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
