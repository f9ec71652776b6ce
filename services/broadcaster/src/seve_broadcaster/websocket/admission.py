"""Decides which requests are served: by method, Host, Origin, and, for data, by token. Answers only refused requests.

A page of another site can make a browser send a request without an Origin (`<img src=…>`). It cannot read the answer,
but the answer would cost work; `Sec-Fetch-Site` reveals such a request.
"""

from collections import Counter
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from seve_runtime.hosts import host_allowed
from seve_runtime.units import split_listen
from websockets.http11 import Request, Response

from seve_broadcaster.auth.grants import Grant, origin_allowed
from seve_broadcaster.auth.jwt import Keys, Unauthorized, presented
from seve_broadcaster.settings import Settings
from seve_broadcaster.websocket import http

DATA: Final = ("/ws", "/api/")
"""Prefixes of paths that need a token if a key is set."""

ALLOWED_SITES: Final = (None, "same-origin", "none")
"""`Sec-Fetch-Site` of programs, of this server's page, and of a typed address."""


class Admission:
    """Checks requests. `refused` counts by reason."""

    def __init__(self, settings: Settings, keys: Keys) -> None:
        self.refused: Counter[str] = Counter()
        self._keys = keys
        self._origins = settings.ws_origins
        self._hosts = {*settings.ws_hosts, split_listen(settings.ws_listen)[0]}

    def check(self, request: Request) -> Grant | Response:
        """Return the grant of a request, or the response that refuses it."""
        if request.method != "GET":
            self.refused["method"] += 1
            return http.respond(HTTPStatus.METHOD_NOT_ALLOWED, b"", http.TEXT, {"Allow": "GET"})
        host, origin, site = (single(request, name) for name in ("Host", "Origin", "Sec-Fetch-Site"))
        if not host_allowed(host, self._hosts):
            return self.refuse(
                "host", HTTPStatus.MISDIRECTED_REQUEST, "this server has no such name; WS_HOSTS lists the names it has"
            )
        if not origin_allowed(origin, host, self._origins):
            return self.refuse(
                "origin", HTTPStatus.FORBIDDEN, "pages of that origin may not connect; WS_ORIGINS lists those that may"
            )
        if urlsplit(request.path).path.startswith(DATA):
            return self._of_data(request, origin, site)
        return Grant(frozenset())

    def _of_data(self, request: Request, origin: str | None, site: str | None) -> Grant | Response:
        if origin is None and site not in ALLOWED_SITES:
            return self.refuse("cross_site", HTTPStatus.FORBIDDEN, "pages of other sites may not request this")
        try:
            return self._grant(request)
        except Unauthorized as error:
            return self.refuse(error.reason, HTTPStatus.UNAUTHORIZED, "a valid token is needed")

    def refuse(self, reason: str, status: HTTPStatus, text: str) -> Response:
        """Return a response that refuses a request, and count it."""
        self.refused[reason] += 1
        headers = {HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": "Bearer"}}.get(status)
        return http.plain(status, text, headers)

    def _grant(self, request: Request) -> Grant:
        """Return the grant of a request. Raises Unauthorized."""
        if not self._keys.required:
            return Grant()
        token = presented(single(request, "Authorization"), _offered(request))
        if token is None:
            raise Unauthorized("no_token")
        return self._keys.verify(token)


def single(request: Request, name: str) -> str | None:
    """Return the value of a header that may occur once; if it occurs more often, a value that no check accepts."""
    values = request.headers.get_all(name)
    return "\0" if len(values) > 1 else values[0] if values else None


def _offered(request: Request) -> list[str]:
    lists = request.headers.get_all("Sec-WebSocket-Protocol")
    return [offer.strip() for offers in lists for offer in offers.split(",")]
