"""Wires the history service. Decides nothing itself."""

import structlog
from seve_runtime.admin import admin
from seve_runtime.health import Health
from seve_runtime.lifecycle import Stop, supervise, unless
from seve_runtime.nats import topology
from seve_runtime.nats.connection import CONDITION, connected

from seve_history import metrics
from seve_history.database.pool import Pool
from seve_history.database.version import verify
from seve_history.responder import DATABASE, Responder
from seve_history.settings import HistorySettings

log = structlog.get_logger()


async def app(settings: HistorySettings, stop: Stop) -> None:
    """Answer queries until `stop`."""
    health = Health(CONDITION, DATABASE)
    async with admin(settings.service.admin_listen, health, hosts=settings.service.admin_hosts) as port:
        log.info("starting", admin=port)
        async with connected(settings.nats, "seve-history", health, stop) as client:
            await unless(stop, topology.wait_for(client.jetstream(), stop))
            pool = Pool(settings.database_url, settings.query_connections, settings.query_max_waiting, verify)
            metrics.WAITING.set_function(lambda: pool.waiting)
            try:
                responder = Responder(client, pool, settings, health)
                await supervise(stop, responder.run, grace=settings.service.shutdown_grace)
            finally:
                await pool.close()
