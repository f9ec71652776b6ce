"""Wires ingest together. The only file that does."""

import secrets

import structlog
from seve_runtime.admin import admin
from seve_runtime.errors import Stopped
from seve_runtime.health import Health
from seve_runtime.lifecycle import Stop, supervise
from seve_runtime.nats import topology
from seve_runtime.nats.connection import CONDITION as NATS
from seve_runtime.nats.connection import connected

from seve_ingest import metrics, publisher, session
from seve_ingest.factory import normaliser
from seve_ingest.mqtt import connect
from seve_ingest.pipeline import Intake
from seve_ingest.publish.deliveries import REMEMBERED, Keys, Seen
from seve_ingest.publish.recovery import known_keys
from seve_ingest.publish.subject_queues import Lanes
from seve_ingest.publisher import Journal
from seve_ingest.session import Session
from seve_ingest.settings import Settings

log = structlog.get_logger()


async def app(settings: Settings, stop: Stop) -> None:
    """Run ingest until `stop`."""
    health = Health(NATS, publisher.CONDITION, session.CONDITION)
    rules = normaliser(settings.rules)
    tls = connect.tls(settings.broker)
    async with (
        admin(settings.service.admin_listen, health, hosts=settings.service.admin_hosts),
        connected(settings.nats, "seve-ingest", health, stop) as nats,
    ):
        js = nats.jetstream()
        await topology.wait_for(js, stop)
        if stop.is_set():
            raise Stopped
        keys, seen = Keys(settings.broker.mqtt_client_id), Seen(max(settings.max_inflight, REMEMBERED))
        tail = 2 * settings.max_inflight if settings.dedup_tail is None else settings.dedup_tail
        seen.load(await known_keys(nats, stop, tail, keys.client))
        lanes = Lanes(secrets.token_hex(6))
        intake = Intake(
            rules, lanes, keys, seen, max_inflight=settings.max_inflight, max_bytes=settings.max_inflight_bytes
        )
        _watch(intake)
        grace = settings.service.shutdown_grace
        mqtt = Session(settings.broker, tls, intake, health, grace=0.8 * grace)
        window = (await js.stream_info(topology.JOURNAL)).config.duplicate_window or 0.0
        way = Journal(
            nats, intake, health, timeout=settings.publish_timeout, window=window, tail=tail, progress=mqtt.progress
        )
        mqtt.publish = way.send

        async def publishing(_stop: Stop) -> None:
            """The journal's end is the session's to tell: it still waits for acks when a stop is asked for."""
            await way.run(mqtt.finished)

        await supervise(stop, mqtt.run, publishing, grace=grace)


def _watch(intake: Intake) -> None:
    """Let the gauges ask `intake` whenever they are read, which costs nothing in between."""
    metrics.waiting.set_function(lambda: intake.queue.waiting)
    metrics.queued.set_function(lambda: intake.lanes.envelopes)
    metrics.queued_bytes.set_function(lambda: intake.lanes.size)
    metrics.in_flight.set_function(lambda: intake.lanes.in_flight)
    metrics.oldest.set_function(lambda: intake.oldest_age)
