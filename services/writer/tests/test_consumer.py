"""Fetched messages are bounded in number and bytes, and returned to the journal if they cannot be written."""

import asyncio

import pytest
import seve_writer.journal.consumer
from seve_runtime.nats.direct import DirectClient, NatsMessage
from seve_writer.journal.consumer import Consumer
from support.conditions import eventually

from .conftest import envelope


@pytest.fixture
async def pulling(journal, nats_server):
    """Starts a consumer with bounds; returns it and the list of arrived messages. Stopped at the end."""
    client = DirectClient()
    await client.connect(nats_server.url)
    stop, tasks = asyncio.Event(), []

    def start(**bounds):
        arrived = []
        consumer = Consumer(client, arrived.append, **bounds)
        tasks.append(asyncio.create_task(consumer.run(stop)))
        return consumer, arrived

    yield start
    stop.set()
    await asyncio.gather(*tasks)
    await client.close()


async def test_a_second_copy_of_a_held_message_is_dropped():
    """It comes if an ack or an extension was lost. Writing it too would make the batch an upsert without need."""
    arrived = []
    consumer = Consumer(DirectClient(), arrived.append, most=10, most_bytes=1 << 20)
    for delivered in (1, 2):
        consumer._receive(
            NatsMessage("telemetry.a.measurement", f"$JS.ACK.TELEMETRY.writer.{delivered}.7.1.0.0", b"[]")
        )
    assert ([message.delivered for message in arrived], consumer.held) == ([1], 1)


async def server_waits(journal, held):
    """Whether the server has delivered `held` messages and is asked for no more."""
    info = await journal.js.consumer_info("TELEMETRY", "writer")
    return info.num_ack_pending == held and info.num_waiting == 0


async def test_fetched_messages_are_bounded(journal, pulling):
    """At the bound the consumer requests nothing; each released message makes room for another."""
    for at in range(120):
        await journal.publish(envelope(at=at))
    consumer, arrived = pulling(most=50, most_bytes=1 << 20)
    await eventually(lambda: server_waits(journal, 50), "fifty held, and no request")
    assert (consumer.held, len(arrived)) == (50, 50)
    consumer.acknowledge(arrived[:20])
    await eventually(lambda: len(arrived) == 70, "twenty more")
    assert consumer.held == 50


async def test_fetched_bytes_are_bounded(journal, pulling):
    """Few large messages fill it as well as many small ones."""
    for at in range(40):
        await journal.publish(envelope(kind="other", metadata="x" * 10_000, at=at))
    consumer, arrived = pulling(most=1000, most_bytes=100_000)
    await eventually(lambda: len(arrived) == 9, "nine of ten thousand bytes")
    consumer.acknowledge(arrived[:4])
    await eventually(lambda: len(arrived) == 13, "four more")
    assert consumer.held == 9


async def test_a_message_larger_than_the_bound_comes_alone(journal, pulling):
    """The bound on memory must not stop the consumer for ever at a large message."""
    await journal.publish(envelope(at=1))
    await journal.publish(envelope(kind="other", metadata="x" * 300_000))
    await journal.publish(envelope(at=2))
    consumer, arrived = pulling(most=100, most_bytes=65_536)
    for expected in (1, 2, 3):
        await eventually(lambda expected=expected: len(arrived) == expected, f"message {expected}")
        consumer.acknowledge(arrived[expected - 1 :])
    await eventually(journal.empty, "all acknowledged")


async def test_a_returned_message_is_delivered_again_at_once(journal, pulling):
    """A writer that stops without a database does not make its messages wait for ACK_WAIT."""
    for at in range(3):
        await journal.publish(envelope(at=at))
    consumer, arrived = pulling(most=100, most_bytes=1 << 20)
    await eventually(lambda: len(arrived) == 3, "three held")
    assert consumer.nak_all() == 3
    await eventually(lambda: len(arrived) == 6, "three again", seconds=4)
    assert [message.delivered for message in arrived[3:]] == [2, 2, 2]


async def test_extended_messages_are_not_redelivered(journal, pulling):
    """Not even beyond ACK_WAIT: the database may be down for hours."""
    for at in range(3):
        await journal.publish(envelope(at=at))
    consumer, arrived = pulling(most=100, most_bytes=1 << 20)
    await eventually(lambda: len(arrived) == 3, "three held")
    stop = asyncio.Event()
    keeping = asyncio.create_task(consumer.keep(stop, 0.2))
    loop = asyncio.get_running_loop()
    end = loop.time() + 7.5  # ACK_WAIT of these tests is 6 s
    await eventually(lambda: loop.time() > end, "longer than ACK_WAIT")
    assert (await journal.js.consumer_info("TELEMETRY", "writer")).num_redelivered == 0
    stop.set()
    await keeping
    assert len(arrived) == 3
    consumer.acknowledge(arrived)
    await eventually(journal.empty, "all acknowledged")


async def test_a_request_that_died_with_the_server_is_not_waited_for(journal, nats_server, pulling, monkeypatch):
    """Once it has expired, the next request goes over the new connection: rows wait for NATS, not for a lost
    request.
    """
    monkeypatch.setattr(seve_writer.journal.consumer, "_LATE", 60.0)
    _, arrived = pulling(most=100, most_bytes=1 << 20)

    async def asked():
        return (await journal.js.consumer_info("TELEMETRY", "writer")).num_waiting == 1

    await eventually(asked, "a request at the server")
    nats_server.kill()
    await eventually(lambda: not journal.client.is_connected, "noticed")
    nats_server.start()
    await eventually(lambda: journal.client.is_connected, "connected again")
    await journal.publish(envelope(at=1))
    await eventually(lambda: arrived, "a message for the next request")
