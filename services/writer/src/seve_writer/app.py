"""Wires a writer. Decides nothing itself."""

import structlog
from seve_runtime.admin import admin
from seve_runtime.clock import micros
from seve_runtime.errors import Stopped
from seve_runtime.health import Health
from seve_runtime.lifecycle import Stop, supervise, unless
from seve_runtime.nats import topology
from seve_runtime.nats.connection import CONDITION, connected
from seve_runtime.nats.direct import DirectClient
from seve_runtime.rate_limit import Quota
from seve_schema.position import Position

from seve_writer import metrics
from seve_writer.database.batch_writer import DATABASE, SCHEMA, BatchWriter
from seve_writer.database.maintenance import maintain
from seve_writer.database.store import Store
from seve_writer.deadletters import PER_SECOND, DeadLetters
from seve_writer.flush_loop import FlushLoop
from seve_writer.flush_rule import Waiting
from seve_writer.journal.consumer import Consumer
from seve_writer.journal.monitor import Monitor
from seve_writer.schema import version
from seve_writer.settings import WriterSettings

log = structlog.get_logger()


async def app(settings: WriterSettings, stop: Stop) -> None:
    """Run a writer until `stop`."""
    health = Health(CONDITION, DATABASE, SCHEMA)
    async with admin(settings.service.admin_listen, health, hosts=settings.service.admin_hosts) as port:
        log.info("starting", admin=port)
        async with connected(settings.nats, "seve-writer", health, stop) as client:
            await unless(stop, topology.wait_for(client.jetstream(), stop))
            store = Store(settings.database_url, settings.database_timeout, version.verify)
            try:
                await _serve(settings, stop, health, client, store)
            finally:
                await store.close()


async def _serve(settings: WriterSettings, stop: Stop, health: Health, client: DirectClient, store: Store) -> None:
    js = client.jetstream()
    batch_writer = BatchWriter(store, DeadLetters(js, Quota(PER_SECOND), micros), health, stop)
    waiting = Waiting(settings.batch_size, settings.flush_interval, settings.batch_max)
    monitor = Monitor(client, settings.topology.history_max_bytes)
    await monitor.look()
    flush_loop = FlushLoop(waiting, batch_writer, monitor)
    consumer = Consumer(client, flush_loop.arrived, most=2 * settings.batch_max, most_bytes=settings.fetch_max_bytes)
    metrics.HELD.set_function(lambda: consumer.held)
    metrics.WAITING.set_function(lambda: waiting.rows)

    async def pull(stop: Stop) -> None:
        try:
            await batch_writer.until_ready()
            log.info("ready")
            await consumer.run(stop)
        except Stopped:
            log.info("stopped before the database could be used")
        finally:
            flush_loop.drain()

    async def write(_: Stop) -> None:
        await flush_loop.run(consumer)

    async def keep(stop: Stop) -> None:
        await consumer.keep(stop, monitor.ack_wait / 3)

    async def observe(stop: Stop) -> None:
        await monitor.run(stop, consumer)

    async def tidy(stop: Stop) -> None:
        await maintain(
            settings.database_url,
            retention=settings.retention,
            log_retention=settings.log_retention,
            interval=settings.maintenance_interval,
            floor=lambda: Position(monitor.journal, monitor.floor),
            stop=stop,
        )

    try:
        await supervise(stop, pull, write, keep, observe, tidy, grace=settings.service.shutdown_grace)
    finally:
        if left := consumer.nak_all():
            log.warning("unwritten messages returned to the journal", messages=left)
