"""Publishing to a real JetStream: acks that are errors, acks that never came."""

import asyncio
import time

from seve_ingest.mqtt.framing import Arrival
from seve_ingest.normalise.normaliser import Normaliser
from seve_ingest.pipeline import Intake
from seve_ingest.publish.deliveries import Keys, Seen
from seve_ingest.publish.subject_queues import Lanes
from seve_ingest.publisher import CONDITION, Journal
from seve_ingest.routing.presets import NATIVE
from seve_ingest.routing.routes import RouteTable
from seve_runtime.health import Health
from seve_runtime.nats import topology
from support.conditions import eventually


class Way:
    """A journal at work, and the intake behind it."""

    def __init__(self, client, **options):
        rules = Normaliser(RouteTable(("native", route) for route in NATIVE), retention=90 * 86400.0)
        self.intake = Intake(rules, Lanes("n"), Keys("c"), Seen(100), max_inflight=100, max_bytes=1 << 20)
        self.health = Health(CONDITION)
        options = {"timeout": 0.3, "window": 30.0, "tail": 100, **options}
        self.journal = Journal(client, self.intake, self.health, progress=lambda: None, **options)
        self.finished = asyncio.Event()
        self.acknowledged = []

    def take(self, topic, payload, mid):
        self.intake.take([Arrival(topic, payload, mid, 0x32)])
        self.journal.send()

    def done(self):
        self.acknowledged += [delivery.mid for delivery in self.intake.finished()]
        return self.acknowledged


async def running(way):
    task = asyncio.create_task(way.journal.run(way.finished))
    await eventually(lambda: way.health.ready, "journal ready")
    return task


async def ended(way, task):
    way.finished.set()
    await task


async def last_sequence(client):
    return (await client.jetstream().stream_info(topology.JOURNAL)).state.last_seq


async def test_a_lost_ack_is_answered_by_publishing_again_once(client):
    """JetStream knows the id: the second counts as the first."""
    way = Way(client)
    way.take(b"m/co2", b"1", 1)
    [publish] = list(way.intake.lanes.ready())
    await client.jetstream().publish(publish.subject, publish.data, headers={"Nats-Msg-Id": publish.id})
    publish.sent_at = publish.known_since = time.monotonic() - 1
    task = await running(way)
    await eventually(lambda: way.done() == [1], "acknowledged")
    assert await last_sequence(client) == 1
    await ended(way, task)


async def test_a_lost_ack_that_jetstream_has_forgotten_is_looked_up_in_history(client):
    """An outage longer than the duplicate window: what is held is not published twice, what is not is published."""
    way = Way(client, window=0.0)
    way.take(b"a/co2", b"1", 1)
    way.take(b"b/co2", b"2", 2)
    stored, lost = list(way.intake.lanes.ready())
    await client.jetstream().publish(stored.subject, stored.data)  # without its id: JetStream cannot recognise it
    await client.jetstream().publish(stored.subject, stored.data, headers={"Nats-Msg-Id": stored.id})
    stored.known_since = lost.known_since = time.monotonic() - 100
    before = await last_sequence(client)
    task = await running(way)
    await eventually(lambda: way.done() == [1, 2], "acknowledged")
    assert before + 1 == await last_sequence(client)
    await ended(way, task)


async def test_without_a_stream_nothing_is_acknowledged(client):
    """It waits, says why, and goes on when the stream is there."""
    way = Way(client)
    config = (await client.jetstream().stream_info(topology.JOURNAL)).config
    await client.jetstream().delete_stream(topology.JOURNAL)
    task = await running(way)
    way.take(b"m/co2", b"1", 1)
    await eventually(lambda: not way.health.ready, "not ready")
    assert way.health.reasons == {CONDITION: "no stream takes the subject"}
    assert way.done() == []
    await client.jetstream().add_stream(config)
    await eventually(lambda: way.done() == [1], "acknowledged")
    assert way.health.ready
    await ended(way, task)
