"""Wires the broadcaster. Decides nothing itself."""

from prometheus_client import CollectorRegistry
from prometheus_client.registry import REGISTRY
from seve_runtime.admin import Pages, admin
from seve_runtime.health import Health
from seve_runtime.lifecycle import Stop, supervise, unless
from seve_runtime.nats import topology
from seve_runtime.nats.connection import connected

from seve_broadcaster.auth.jwt import Keys
from seve_broadcaster.fanout.hub import Hub
from seve_broadcaster.feed import Feed
from seve_broadcaster.history import History
from seve_broadcaster.metrics import AgeAtFrame, BroadcasterCollector
from seve_broadcaster.settings import Settings
from seve_broadcaster.snapshot.snapshot import NEVER, Bounds, LatestValues
from seve_broadcaster.snapshot_store import SnapshotStore
from seve_broadcaster.stream.replay_buffer import ReplayBuffer
from seve_broadcaster.websocket.journal_replay import JournalReplay
from seve_broadcaster.websocket.router import Router
from seve_broadcaster.websocket.server import Gateway
from seve_broadcaster.websocket.slowest import slowest


async def run(settings: Settings, stop: Stop, registry: CollectorRegistry = REGISTRY) -> None:
    """Run the broadcaster until `stop`."""
    keys = Keys(settings.auth)
    health = Health("nats", "stream", "websocket")
    pages = Pages()
    async with (
        admin(
            settings.service.admin_listen, health, hosts=settings.service.admin_hosts, registry=registry, pages=pages
        ),
        connected(settings.nats, "seve-broadcaster", health, stop) as client,
    ):
        js = client.jetstream()
        await topology.wait_for(js, stop)
        if stop.is_set():
            return
        latest = LatestValues(Bounds(modules=settings.max_modules, total_bytes=settings.present_max_bytes))
        hub = Hub(NEVER, latest, ReplayBuffer(settings.recent_max_bytes, NEVER), settings.ws_max_subscriptions)
        store = SnapshotStore(client, hub, settings.latest_save_interval, settings.module_forget_after)
        replay, age = JournalReplay(client, hub), AgeAtFrame()
        history = History(client, hub, settings.query_timeout)
        gateway = Gateway(settings, hub, replay, Router(settings, keys, hub, history), health)
        feed = Feed(client, hub, health, age.observe)
        pages["/clients"] = lambda: slowest(gateway.peers, hub)
        registry.register(BroadcasterCollector(gateway, feed, replay))
        registry.register(age)
        await store.listen()
        await unless(stop, feed.start(store.restore, stop))
        await supervise(stop, gateway.serve, feed.watch, replay.run, store.keep, grace=settings.service.shutdown_grace)
