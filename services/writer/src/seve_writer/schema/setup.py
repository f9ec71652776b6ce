"""`seve-writer setup`: applies the database migrations, then the NATS topology. May run before every start, and twice
at once. Waits for the database and NATS, with one log line per change of reason; starts no service.

This order makes a journal younger than its tables, unless the tables were replaced. An audit relies on it: it tells
which message is the first that the ledger must have.
"""

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
import structlog
from nats.errors import Error as NatsError
from seve_runtime.errors import Stopped, describe
from seve_runtime.health import Health
from seve_runtime.lifecycle import Stop, pause
from seve_runtime.nats import topology
from seve_runtime.nats.connection import CONDITION, connected

from seve_writer.schema.layout import lay_out
from seve_writer.schema.migrate import migrate
from seve_writer.settings import WriterSettings

log = structlog.get_logger()

POLL = 1.0
"""Seconds between attempts to connect."""


async def setup(settings: WriterSettings, stop: Stop) -> None:
    """Apply migrations, layout and topology. Raises Stopped, TopologyError, MigrationError or psycopg.Error."""
    url = settings.migration_database_url or settings.database_url
    names = await _once_up(lambda: asyncio.to_thread(migrate, url.reveal()), "the database", stop)
    log.info("migrations applied", names=names or "none")
    layout = await _once_up(lambda: asyncio.to_thread(lay_out, url.reveal(), settings.retention), "the database", stop)
    log.info("measurements laid out", layout=layout)
    async with connected(settings.nats, "seve-writer setup", Health(CONDITION), stop) as client:
        changes = await _once_up(lambda: topology.apply(client.jetstream(), settings.topology), "NATS", stop)
        log.info("topology applied", changes=changes or "none")


async def _once_up(work: Callable[[], Awaitable[list[str]]], what: str, stop: Stop) -> list[str]:
    """Return the result of `work`, retried while the server it needs is down."""
    logged = ""
    while True:
        try:
            return await work()
        except (psycopg.OperationalError, NatsError, OSError) as error:
            reason = describe(error)
            if reason != logged:
                log.warning("waiting", what=what, reason=reason)
                logged = reason
        if await pause(stop, POLL):
            raise Stopped
