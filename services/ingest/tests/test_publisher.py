"""Publishing to a real JetStream, with acks that are errors and acks that never come."""

import asyncio

import pytest
from seve_ingest.mqtt.framing import DUP, Arrival
from seve_ingest.normalise.normaliser import Normaliser
from seve_ingest.pipeline import Pipeline
from seve_ingest.publish import subject_queues
from seve_ingest.publish.redelivery import RedeliveryMemory
from seve_ingest.publish.subject_queues import SubjectQueues
from seve_ingest.publisher import CONDITION, PUBLISH_ID, Publisher
from seve_ingest.routing.routes import NATIVE, RouteTable
from seve_runtime.health import Health
from seve_runtime.nats import topology
from seve_schema.codec import decode_envelopes
from support.conditions import eventually
from support.faults import frozen

MEASUREMENTS = "telemetry.in.measurement"


class Way:
    """A running publisher, and its pipeline."""

    def __init__(self, client):
        rules = Normaliser(RouteTable(("native", route) for route in NATIVE), retention=90 * 86400.0)
        limits = {"max_inflight": 100, "max_bytes": 1 << 20}
        self.memory = RedeliveryMemory()
        self.pipeline = Pipeline(rules, SubjectQueues("n"), self.memory, ingest="in", client_id="c", **limits)
        self.health = Health(CONDITION)
        self.publisher = Publisher(client, self.pipeline, self.health, timeout=0.3)
        self.finished = asyncio.Event()
        self.js = client.jetstream()
        self.mid = 0
        self.acknowledged = []

    def take(self, topic, payload):
        self.mid += 1
        self.pipeline.take([Arrival(topic, payload, self.mid, 0x32)])
        self.publisher.send()

    def done(self):
        self.acknowledged += [delivery.mid for delivery in self.pipeline.acknowledgeable()]
        return self.acknowledged

    async def start(self):
        self.task = asyncio.create_task(self.publisher.run(self.finished))
        await eventually(lambda: self.health.ready, "journal ready")

    async def publishes(self, value):
        """Publish one sample and wait for its ack."""
        self.take(b"m/co2", value)
        await eventually(lambda: self.mid in self.done(), f"{value} acknowledged")

    async def stored_behind_its_back(self):
        """Store the ready messages without the publisher, like publishes whose acks are lost."""
        [publish] = self.pipeline.queues.ready()
        headers = {PUBLISH_ID: publish.id, "Nats-Expected-Last-Subject-Sequence": str(publish.expected)}
        await self.js.publish(publish.subject, publish.data, headers=headers)

    async def values(self):
        """Return the samples in the journal, in order."""
        state = (await self.js.stream_info(topology.JOURNAL)).state
        found = []
        for sequence in range(state.first_seq, state.last_seq + 1):
            message = await self.js.get_msg(topology.JOURNAL, sequence)
            if message.data != b"stranger":
                found += [each.value for each in decode_envelopes(message.data)]
        return found


@pytest.fixture
async def way(client):
    made = Way(client)
    yield made
    made.finished.set()
    await made.task


async def test_a_message_with_a_lost_ack_is_stored_once(way):
    """However long ago the message was stored: the last message in the journal shows that it was."""
    await way.start()
    await way.publishes(b"1")
    way.pipeline.take([Arrival(b"m/co2", b"2", 2, 0x32)])
    way.mid = 2
    await way.stored_behind_its_back()
    await eventually(lambda: way.done() == [1, 2], "acknowledged")
    await way.publishes(b"3")
    assert await way.values() == [1, 2, 3]


async def test_a_message_with_a_lost_ack_and_no_delivery_key_is_stored_once(way):
    """At QoS 0, only its publish id shows that it is the last message of its subject."""
    await way.start()
    way.pipeline.take([Arrival(b"m/co2", b"1", 0, 0x30)])
    await way.stored_behind_its_back()
    await eventually(lambda: not way.pipeline.queues.envelopes, "held")
    assert await way.values() == [1]


async def test_a_process_that_starts_learns_the_sequence_of_its_subject(way):
    """It expects no message; the journal names the last one, which is not its own."""
    await way.js.publish(MEASUREMENTS, b"stranger")
    await way.start()
    await way.publishes(b"1")
    await way.publishes(b"2")
    assert await way.values() == [1, 2]


async def test_a_dead_letter_stream_that_refuses_holds_back_no_publish(way, monkeypatch):
    """Nor, after some time, an acknowledgement: refused dead letters are counted and dropped."""
    monkeypatch.setattr(subject_queues, "DEADLETTER_PATIENCE", 0.5)
    await way.start()
    full = (await way.js.stream_info(topology.DEADLETTER)).config.evolve(discard="new", max_bytes=1)
    await way.js.update_stream(full)
    way.take(b"m/system", b"no json")
    for value in (b"1", b"2"):
        way.take(b"m/co2", value)
    await eventually(lambda: way.done() == [1, 2, 3], "acknowledged")
    assert way.health.ready
    assert await way.values() == [1, 2]


async def test_a_purged_journal_takes_the_next(way):
    """A subject whose last message was purged has no last sequence."""
    await way.start()
    await way.publishes(b"1")
    await way.js.purge_stream(topology.JOURNAL)
    await way.publishes(b"2")
    assert await way.values() == [2]


async def test_a_journal_that_was_recreated_takes_the_next(way):
    """Its sequences begin at 1 again, below the one that ingest expects."""
    await way.start()
    for value in (b"1", b"2", b"3"):
        await way.publishes(value)
    config = (await way.js.stream_info(topology.JOURNAL)).config
    await way.js.delete_stream(topology.JOURNAL)
    await way.js.add_stream(config)
    await way.publishes(b"4")
    await way.publishes(b"5")
    assert await way.values() == [4, 5]


async def test_another_publisher_on_its_subject_is_logged_and_stops_nothing(way, capsys):
    """The other is a second ingest with the same MQTT_CLIENT_ID."""
    await way.start()
    await way.publishes(b"1")
    await way.js.publish(MEASUREMENTS, b"stranger")
    await way.publishes(b"2")
    assert await way.values() == [1, 2]
    assert "MQTT_CLIENT_ID" in capsys.readouterr().out


@pytest.mark.parametrize("read_up_to", [0, 1], ids=["after the journal was read", "before"])
async def test_a_late_message_of_a_killed_ingest_is_not_published_again(way, client, read_up_to):
    """The connection of the killed ingest outlived it. A message that was in the journal when it was read counts as no
    redelivery by its key alone.
    """
    killed = Way(client)
    killed.pipeline.take([Arrival(b"m/co2", b"1", 1, 0x32), Arrival(b"m/co2", b"2", 2, 0x32)])
    [sent] = killed.pipeline.queues.ready()
    await way.js.publish(sent.subject, sent.data)
    way.memory.load([], read_up_to)
    way.take(b"m/co2", b"1")
    way.take(b"m/co2", b"3")
    await way.start()
    way.take(b"m/co2", b"4")
    await eventually(lambda: way.done() == [1, 2, 3], "acknowledged")
    assert await way.values() == ([1, 2, 3, 4] if read_up_to == 0 else [1, 2, 1, 3, 4])


async def test_a_message_that_arrived_late_as_a_whole_is_only_acknowledged(way, client):
    """It is acknowledged, even if it is redelivered later, and the following messages are published behind it."""
    killed = Way(client)
    killed.pipeline.take([Arrival(b"m/co2", b"1", 1, 0x32), Arrival(b"m/co2", b"2", 2, 0x32)])
    [sent] = killed.pipeline.queues.ready()
    await way.js.publish(sent.subject, sent.data)
    await way.start()
    way.take(b"m/co2", b"1")
    await eventually(lambda: way.done() == [1], "acknowledged")
    way.pipeline.take([Arrival(b"m/co2", b"2", 2, 0x32 | DUP)])
    way.mid = 2
    await way.publishes(b"3")
    assert way.done() == [1, 2, 3]
    assert await way.values() == [1, 2, 3]


async def test_without_a_stream_nothing_is_acknowledged(way):
    """Messages wait, readiness says why, and ingest goes on when the stream exists."""
    config = (await way.js.stream_info(topology.JOURNAL)).config
    await way.js.delete_stream(topology.JOURNAL)
    await way.start()
    way.take(b"m/co2", b"1")
    await eventually(lambda: not way.health.ready, "not ready")
    assert way.health.reasons == {CONDITION: "no stream takes the subject"}
    assert way.done() == []
    await way.js.add_stream(config)
    await eventually(lambda: way.done() == [1], "acknowledged")
    assert way.health.ready


async def test_ingest_is_not_ready_while_nothing_is_acknowledged(way, nats_server):
    """A server that once failed to write stays connected, but sends no acks."""
    await way.start()
    with frozen(nats_server):
        way.take(b"m/co2", b"1")
        await eventually(lambda: not way.health.ready, "not ready")
        assert "no answer within PUBLISH_TIMEOUT" in way.health.reasons[CONDITION]
    await eventually(lambda: way.done() == [1], "acknowledged")
    assert way.health.ready


async def test_a_journal_that_lost_its_end_is_logged(way, nats_server, capsys):
    """Its file is damaged, and NATS continues behind the last readable message: ingest names the lost sequences."""
    await way.start()
    for value in (b"1", b"2", b"3", b"4"):
        await way.publishes(value)
    nats_server.kill()
    [block] = nats_server.folder.glob("jetstream/**/TELEMETRY/msgs/*.blk")
    with block.open("r+b") as file:
        file.truncate(block.stat().st_size - 10)
    nats_server.start()
    told = ""

    def named():
        nonlocal told
        told += capsys.readouterr().out
        return "lost messages that it had acknowledged" in told

    await eventually(named, "told")
    assert "4 to 4" in told
    await way.publishes(b"5")
