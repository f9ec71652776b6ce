"""HTTP responses beside `/ws`: the files of `static/`, and `/api/modules`. Any other path is not found.

Files are read once, at start, and looked up by name in memory; no path of a request reaches the file system.
"""

import hashlib
from collections.abc import Mapping
from http import HTTPStatus
from importlib.resources import files
from typing import Final, NamedTuple

import msgspec
from seve_schema.times import MICROS, format_time
from websockets.datastructures import Headers
from websockets.http11 import Response
from websockets.typing import StatusLike

from seve_broadcaster.auth.grants import Grant
from seve_broadcaster.fanout.hub import Hub
from seve_broadcaster.protocol import frames
from seve_broadcaster.snapshot.snapshot import Module

TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}

SECURITY: Final = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "object-src 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

TEXT: Final = "text/plain; charset=utf-8"

RECENT_MICROS: Final = 600 * MICROS
"""How far back the resume token of `/api/modules` reaches, so that a page can draw the recent course of its values."""

_encode: Final = msgspec.json.Encoder().encode


class Page(NamedTuple):
    """A file with its media type and tag."""

    body: bytes
    kind: str
    etag: str


def static_pages() -> dict[str, Page]:
    """Return every file of `static/` with a known type, by its path in URLs; `index.html` is `/`."""
    pages = {}
    for file in files("seve_broadcaster").joinpath("static").iterdir():
        kind = TYPES.get("." + file.name.rpartition(".")[2])
        if kind and file.is_file():
            body = file.read_bytes()
            etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
            pages["/" if file.name == "index.html" else f"/{file.name}"] = Page(body, kind, etag)
    return pages


def page(pages: Mapping[str, Page], path: str, if_none_match: str | None) -> Response | None:
    """Return the response for a path of `pages`; None for any other path."""
    file = pages.get(path)
    if file is None:
        return None
    headers = {"Cache-Control": "no-cache", "ETag": file.etag}
    if if_none_match == file.etag:
        return respond(HTTPStatus.NOT_MODIFIED, b"", file.kind, headers)
    return respond(HTTPStatus.OK, file.body, file.kind, headers)


def modules(hub: Hub, grant: Grant, now: int) -> bytes:
    """Return the body of `/api/modules`: each module that the caller may see, as of `now` (microseconds since 1970).

    `since` is a resume token of ten minutes ago, or younger if memory does not reach as far: with it a client gets the
    snapshot of that time, and the messages since.
    """
    since = frames.snapshot_at(hub.buffer.before(format_time(now - RECENT_MICROS)))
    body = [
        {
            "module": name,
            "lastSeen": module.heard or None,
            "silent": name in hub.silent,
            "presence": _presence(module),
            "values": [msgspec.Raw(entry.data) for entry in module.entries()],
        }
        for name, module in sorted(hub.latest.modules.items())
        if grant.allows(name)
    ]
    return _encode({"since": str(since), "modules": body})


def json(body: bytes) -> Response:
    """Return a response of data that no cache may keep."""
    return respond(HTTPStatus.OK, body, TYPES[".json"], {"Cache-Control": "no-store"})


def rejected(status: StatusLike, text: str) -> Response:  # noqa: ARG001  (websockets' text names the library)
    """Return the response to a request that websockets rejects, in the same form as all others."""
    status = HTTPStatus(status)
    return plain(status, status.phrase.lower())


def respond(status: HTTPStatus, body: bytes, kind: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with the headers that every response of this server has."""
    fields = {"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close", **SECURITY}
    return Response(status.value, status.phrase, Headers({**fields, **(headers or {})}), body)


def plain(status: HTTPStatus, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response of one line of text."""
    return respond(status, f"{text}\n".encode(), TEXT, headers)


def _presence(module: Module) -> str | None:
    entry = module.series.get(("presence", "", ""))
    if entry is None:
        return None
    body = msgspec.json.decode(entry.data).get("metadata")
    return body.get("status") if isinstance(body, dict) else None
