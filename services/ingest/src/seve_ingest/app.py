"""Wires ingest together. The only file that does."""

import secrets

from seve_runtime.admin import admin
from seve_runtime.errors import Stopped
from seve_runtime.health import Health
from seve_runtime.lifecycle import Stop, supervise
from seve_runtime.nats import topology
from seve_runtime.nats.connection import CONDITION as NATS
from seve_runtime.nats.connection import connected
from seve_runtime.nats.direct import DirectClient
from seve_schema.subjects import ingest_name

from seve_ingest import metrics, publisher, session
from seve_ingest.factory import normaliser
from seve_ingest.mqtt import connect
from seve_ingest.normalise.normaliser import Normaliser
from seve_ingest.pipeline import Pipeline
from seve_ingest.publish.recovery import published_before
from seve_ingest.publish.redelivery import RedeliveryMemory
from seve_ingest.publish.subject_queues import SubjectQueues
from seve_ingest.publisher import Publisher
from seve_ingest.session import MqttSession
from seve_ingest.settings import Settings


async def app(settings: Settings, stop: Stop) -> None:
    """Run ingest until `stop`."""
    health = Health(NATS, publisher.CONDITION, session.CONDITION)
    rules = normaliser(settings.rules)
    tls = connect.tls(settings.broker)
    async with (
        admin(settings.service.admin_listen, health, hosts=settings.service.admin_hosts),
        connected(settings.nats, "seve-ingest", health, stop) as nats,
    ):
        await topology.wait_for(nats.jetstream(), stop)
        if stop.is_set():
            raise Stopped
        pipeline = _pipeline(settings, rules, await _memory(settings, nats, stop))
        _watch(pipeline)
        grace = settings.service.shutdown_grace
        way = Publisher(nats, pipeline, health, timeout=settings.publish_timeout)
        mqtt = MqttSession(settings.broker, tls, pipeline, way, health, grace=0.8 * grace)

        async def publishing(_stop: Stop) -> None:
            """Run the publisher until the session has ended: after a stop, the session still waits for acks."""
            await way.run(mqtt.finished)

        await supervise(stop, mqtt.run, mqtt.acknowledge, publishing, grace=grace)


async def _memory(settings: Settings, nats: DirectClient, stop: Stop) -> RedeliveryMemory:
    """Read the messages that the broker may send again from the end of the journal."""
    memory = RedeliveryMemory()
    memory.load(*await published_before(nats, stop, settings.broker.mqtt_client_id, settings.dedup_tail))
    return memory


def _pipeline(settings: Settings, rules: Normaliser, memory: RedeliveryMemory) -> Pipeline:
    client_id = settings.broker.mqtt_client_id
    return Pipeline(
        rules,
        SubjectQueues(secrets.token_hex(6)),
        memory,
        ingest=ingest_name(client_id),
        client_id=client_id,
        max_inflight=settings.max_inflight,
        max_bytes=settings.max_inflight_bytes,
    )


def _watch(pipeline: Pipeline) -> None:
    """Let the gauges read `pipeline` at each scrape, so that they cost nothing between scrapes."""
    metrics.waiting.set_function(lambda: pipeline.acks.waiting)
    metrics.queued.set_function(lambda: pipeline.queues.envelopes)
    metrics.queued_bytes.set_function(lambda: pipeline.queues.size)
    metrics.in_flight.set_function(lambda: pipeline.queues.in_flight)
    metrics.oldest.set_function(lambda: pipeline.oldest_age)
