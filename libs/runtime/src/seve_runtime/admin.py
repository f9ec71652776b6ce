"""The admin port: `/health/live`, `/health/ready`, `/metrics`, and further pages of a service as JSON. Serves no
telemetry.

It uses threads, so that it answers even while the event loop is stuck (and then reports that). Bound: 32 requests at
once; overflow rule: a further one disconnects the oldest, so that idle connections cannot block the port. A request
with an unknown `Host` is refused, as a guard against DNS rebinding.
"""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from socketserver import ThreadingMixIn
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import structlog
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.registry import REGISTRY

from seve_runtime.errors import SettingsError
from seve_runtime.health import HEARTBEAT_SECONDS, Health
from seve_runtime.hosts import host_allowed
from seve_runtime.units import split_listen

log = structlog.get_logger()


MAX_REQUESTS: Final = 32


class Pages(dict[str, Callable[[], object]]):
    """Maps a path to the function that returns its content, to be encoded as JSON. The function runs in a thread of the
    admin port, at the same time as the event loop.
    """


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 32

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._lock = threading.Lock()
        self._served: dict[socket.socket, None] = {}  # in order of arrival

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            if len(self._served) >= MAX_REQUESTS:
                oldest = next(iter(self._served))
                del self._served[oldest]
                with suppress(OSError):  # it may have ended by itself
                    oldest.shutdown(socket.SHUT_RDWR)
            self._served[request] = None
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._served.pop(request, None)
        super().shutdown_request(request)


class _Quiet(WSGIRequestHandler):
    timeout = 10

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the base class names it)
        log.debug("admin request", request=format % args)


@asynccontextmanager
async def admin(
    listen: str,
    health: Health,
    *,
    setting: str = "ADMIN_LISTEN",
    hosts: Iterable[str] = (),
    registry: CollectorRegistry = REGISTRY,
    pages: Pages | None = None,
) -> AsyncIterator[int]:
    """Serve health and metrics on `listen` within the context; yield the port.

    `hosts` are names that a request may use besides IP addresses and `localhost`. Raises SettingsError if the service
    cannot listen there, as when the port is taken.
    """
    host, port = split_listen(listen)
    try:
        server = make_server(
            host,
            port,
            _app(health, registry, frozenset(hosts), Pages() if pages is None else pages),
            server_class=_Server,
            handler_class=_Quiet,
        )
    except OSError as error:
        raise SettingsError([f"{setting} = {listen!r}: {error.strerror}"]) from error
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.2}, name="admin", daemon=True)
    thread.start()
    heartbeat = asyncio.create_task(_beat(health), name="heartbeat")
    try:
        yield server.server_port
    finally:
        heartbeat.cancel()
        await asyncio.to_thread(server.shutdown)
        server.server_close()


async def _beat(health: Health) -> None:
    while True:
        health.beat()
        await asyncio.sleep(HEARTBEAT_SECONDS)


def _app(health: Health, registry: CollectorRegistry, hosts: frozenset[str], pages: Pages) -> WSGIApplication:
    metrics: WSGIApplication = make_wsgi_app(registry)

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        host = environ.get("HTTP_HOST")
        if host is not None and not host_allowed(host, hosts):  # HTTP/1.0 has none; a browser always sends one
            start_response("421 Misdirected Request", [("Content-Type", "text/plain")])
            return [b"this server has no such name; ADMIN_HOSTS lists the names it has\n"]
        match environ.get("PATH_INFO"):
            case "/metrics":
                return metrics(environ, start_response)
            case "/health/live":
                return _answer(start_response, ok=health.live, body={"live": health.live})
            case "/health/ready":
                return _answer(start_response, ok=health.ready, body={"ready": health.ready, "waiting": health.reasons})
            case str(path) if path in pages:
                return _answer(start_response, ok=True, body=pages[path]())
            case _:
                start_response("404 Not Found", [("Content-Type", "text/plain")])
                return [" ".join(["/health/live /health/ready /metrics", *pages]).encode() + b"\n"]

    return app


def _answer(start_response: StartResponse, *, ok: bool, body: object) -> Iterable[bytes]:
    start_response("200 OK" if ok else "503 Service Unavailable", [("Content-Type", "application/json")])
    return [json.dumps(body).encode() + b"\n"]
