"""The connection to NATS: reconnects for ever and reports its state to health. Publishes and subscribes nothing."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import msgspec
import structlog
from msgspec import Meta
from nats.errors import Error as NatsError

from seve_runtime.errors import describe
from seve_runtime.health import Health
from seve_runtime.lifecycle import Stop, unless
from seve_runtime.nats.direct import DirectClient
from seve_runtime.settings import Secret
from seve_runtime.tls import client_context

log = structlog.get_logger()

CONDITION = "nats"
"""The readiness condition that this module sets."""


class NatsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach NATS. With `tls://` the TLS handshake comes before the server's first message (INFO), so that nobody
    on the network path can make the client send its password in clear text.
    """

    nats_url: Annotated[
        tuple[str, ...],
        Meta(min_length=1, description="NATS servers, separated by commas; tls:// if they speak TLS from the start"),
    ] = ("nats://localhost:4222",)
    nats_user: Annotated[str | None, Meta(description="NATS user, if the URL names none")] = None
    nats_password: Annotated[Secret | None, Meta(description="password of NATS_USER; or NATS_PASSWORD_FILE")] = None
    nats_inbox_prefix: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9_-]+$",
            description="prefix of the subjects for answers; with one per user, permissions can separate their answers",
        ),
    ] = "_INBOX"
    nats_ca_file: Annotated[
        str | None, Meta(description="with tls://: certificates to trust, instead of the system's")
    ] = None
    nats_cert_file: Annotated[str | None, Meta(description="with tls://: client certificate")] = None
    nats_key_file: Annotated[
        str | None, Meta(description="private key of NATS_CERT_FILE, unless that file has both")
    ] = None

    @property
    def tls(self) -> bool:
        """Whether the connection uses TLS."""
        return self.nats_url[0].startswith("tls://")

    def __post_init__(self) -> None:
        if len({url.startswith("tls://") for url in self.nats_url}) > 1:
            raise ValueError("NATS_URL: either all servers are tls:// or none is")
        if any((self.nats_ca_file, self.nats_cert_file, self.nats_key_file)) and not self.tls:
            raise ValueError("NATS_CA_FILE, NATS_CERT_FILE and NATS_KEY_FILE need NATS_URL=tls://")
        if self.nats_key_file and not self.nats_cert_file:
            raise ValueError("NATS_KEY_FILE needs NATS_CERT_FILE")


def _is_relevant(record: logging.LogRecord) -> bool:
    """Return False for the warning that asyncio logs at the end of every TLS connection of nats-py."""
    return not str(record.msg).startswith("returning true from eof_received()")


def tls_options(settings: NatsSettings) -> dict[str, Any]:
    """Return nats-py's options for TLS, empty without TLS. Raises SettingsError for files that cannot be used."""
    if not settings.tls:
        return {}
    logging.getLogger("asyncio").addFilter(_is_relevant)
    context = client_context("NATS", settings.nats_ca_file, settings.nats_cert_file, settings.nats_key_file)
    return {"tls": context, "tls_handshake_first": True}


@asynccontextmanager
async def connected(settings: NatsSettings, name: str, health: Health, stop: Stop) -> AsyncIterator[DirectClient]:
    """Open a NATS connection that reconnects for ever, and drain it at the end of the context. Raises Stopped if `stop`
    is set before the first connection.

    Sets the readiness condition `nats`. While the connection is lost, publishers are bounded by their own in-flight
    windows.
    """
    client = DirectClient()

    async def lost() -> None:
        if not client.is_closed:
            health.fails(CONDITION, "disconnected")
            log.warning("nats disconnected")

    async def back() -> None:
        health.holds(CONDITION)
        log.info("nats connected", server=_server(client))

    async def fault(error: Exception) -> None:
        log.warning("nats error", error=describe(error))

    health.fails(CONDITION, "connecting")
    await unless(
        stop,
        client.connect(
            **_address(settings),
            name=name,
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
            connect_timeout=5,
            ping_interval=10,
            max_outstanding_pings=2,
            disconnected_cb=lost,
            reconnected_cb=back,
            error_cb=fault,
        ),
    )
    await back()
    try:
        yield client
    finally:
        if client.is_connected:
            await client.drain()
        else:
            await _give_up(client)


@asynccontextmanager
async def connected_once(settings: NatsSettings, name: str) -> AsyncIterator[DirectClient]:
    """Open a NATS connection for a command that should fail rather than wait: one attempt per server, no reconnects.

    Raises nats.errors.Error and OSError: the last error that the connection reported, if there is one.
    """
    client = DirectClient()
    failures: list[Exception] = []

    async def fault(error: Exception) -> None:
        failures.append(error)

    try:
        await client.connect(
            **_address(settings),
            name=name,
            allow_reconnect=False,
            max_reconnect_attempts=1,  # applies to the first connection too, which would retry for two minutes
            reconnect_time_wait=0,
            connect_timeout=5,
            error_cb=fault,
        )
        try:
            yield client
        finally:
            await client.close()
    except (NatsError, OSError) as error:  # if no answer came, the connection's own error is the reason
        raise (failures[-1] if failures and isinstance(failures[-1], NatsError | OSError) else error) from error


def _address(settings: NatsSettings) -> dict[str, Any]:
    """Return nats-py's options for servers, TLS and credentials."""
    password = settings.nats_password.reveal() if settings.nats_password else None
    return {
        **tls_options(settings),
        "servers": list(settings.nats_url),
        "user": settings.nats_user,
        "password": password,
        "inbox_prefix": settings.nats_inbox_prefix.encode(),
    }


async def _give_up(client: DirectClient) -> None:
    """Close a broken connection. Its unsent messages are lost; no caller waits for them any more."""
    try:
        await client.close()
    except (OSError, RuntimeError) as error:  # uvloop's transport raises RuntimeError if it is closed
        log.warning("nats closed while disconnected", error=describe(error))


def _server(client: DirectClient) -> str | None:
    url = client.connected_url
    return f"{url.hostname}:{url.port}" if url else None
