"""The wiring of the broadcaster."""

from prometheus_client import CollectorRegistry
from prometheus_client.registry import REGISTRY
from seve_runtime import topology
from seve_runtime.admin import admin
from seve_runtime.health import Health
from seve_runtime.lifecycle import Stop, supervise
from seve_runtime.nats import connected

from seve_broadcaster.feed import Feed, journal_end
from seve_broadcaster.hub import Hub
from seve_broadcaster.metrics import Observed
from seve_broadcaster.present import Bounds, Present
from seve_broadcaster.recent import Recent
from seve_broadcaster.server import Gateway
from seve_broadcaster.settings import Settings


async def run(settings: Settings, stop: Stop, registry: CollectorRegistry = REGISTRY) -> None:
    """Run the broadcaster until `stop`."""
    health = Health("nats", "stream", "websocket")
    async with (
        admin(settings.service.admin_listen, health, registry=registry),
        connected(settings.nats, "seve-broadcaster", health, stop) as client,
    ):
        js = client.jetstream()
        await topology.wait_for(js, stop)
        if stop.is_set():
            return
        head = await journal_end(js)
        hub = Hub(
            head,
            Present(Bounds(total_bytes=settings.present_max_bytes)),
            Recent(settings.recent_max_bytes, head),
            settings.ws_max_subscriptions,
        )
        gateway, feed = Gateway(settings, hub, health), Feed(client, js, hub, health)
        registry.register(Observed(gateway, feed))
        await feed.start()
        await supervise(stop, gateway.serve, grace=settings.service.shutdown_grace)
