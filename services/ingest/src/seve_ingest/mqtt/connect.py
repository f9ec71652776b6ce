"""Opens a TCP or TLS connection to the broker without blocking the event loop, and returns its socket for paho. Speaks
no MQTT.
"""

import asyncio
import socket
import ssl
from urllib.parse import urlsplit

from seve_runtime.tls import client_context

from seve_ingest.settings import BrokerSettings


def address(settings: BrokerSettings) -> tuple[str, int]:
    """Return host and port of the broker."""
    url = urlsplit(settings.mqtt_broker)
    return url.hostname or "localhost", url.port or (8883 if url.scheme == "mqtts" else 1883)


def tls(settings: BrokerSettings) -> ssl.SSLContext | None:
    """Return the TLS context of `mqtts://`, else None. Raises SettingsError for files that cannot be used."""
    if not settings.mqtt_broker.startswith("mqtts:"):
        return None
    return client_context("MQTT", settings.mqtt_ca_file, settings.mqtt_cert_file, settings.mqtt_key_file)


async def connect(host: str, port: int, context: ssl.SSLContext | None, name: str, *, patience: float) -> socket.socket:
    """Return a connected, non-blocking socket. `name` is the name that the broker's certificate must have. Raises
    OSError; also (as TimeoutError) if it takes more than `patience` seconds.
    """
    async with asyncio.timeout(patience):
        plain = await _tcp(host, port)
        if context is None:
            return plain
        try:
            return await _handshake(plain, context, name)
        except BaseException:
            plain.close()
            raise


async def _tcp(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    fault: OSError = OSError(f"{host} has no address")
    for family, kind, protocol, _, where in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        try:
            await loop.sock_connect(sock, where)
        except OSError as error:
            sock.close()
            fault = error
        except BaseException:
            sock.close()
            raise
        else:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
    raise fault


async def _handshake(plain: socket.socket, context: ssl.SSLContext, server_name: str) -> ssl.SSLSocket:
    secured = context.wrap_socket(plain, server_hostname=server_name, do_handshake_on_connect=False)
    while True:
        try:
            secured.do_handshake()
        except ssl.SSLWantReadError:
            await _ready(secured, write=False)
        except ssl.SSLWantWriteError:
            await _ready(secured, write=True)
        else:
            return secured


async def _ready(sock: socket.socket, *, write: bool) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    add, remove = (loop.add_writer, loop.remove_writer) if write else (loop.add_reader, loop.remove_reader)
    add(sock.fileno(), _resolve, ready)
    try:
        await ready
    finally:
        remove(sock.fileno())


def _resolve(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
