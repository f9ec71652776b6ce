"""The topology is applied by `setup` and verified by the services, against a real NATS server."""

import asyncio

import nats
import pytest
from seve_runtime.errors import TopologyError
from seve_runtime.nats.topology import TopologySettings, apply, verify, wait_for
from support.conditions import eventually

SMALL = TopologySettings(journal_max_bytes=1 << 20, history_max_bytes=1 << 20)


async def test_applying_twice_changes_nothing_the_second_time(nats_server):
    """`setup` may run before every start."""
    client = await nats.connect(nats_server.url)
    js = client.jetstream()
    assert await apply(js, SMALL) == ["HISTORY created", "LATEST created", "DEADLETTER created", "TELEMETRY created"]
    assert await apply(js, SMALL) == []
    await verify(js)
    await client.close()


async def test_a_changed_size_is_applied_in_place(nats_server):
    """A larger journal needs no new stream."""
    client = await nats.connect(nats_server.url)
    js = client.jetstream()
    await apply(js, SMALL)
    larger = TopologySettings(journal_max_bytes=2 << 20, history_max_bytes=1 << 20)
    assert await apply(js, larger) == ["TELEMETRY updated: max_bytes"]
    assert (await js.stream_info("TELEMETRY")).config.max_bytes == 2 << 20
    await client.close()


async def test_a_service_names_what_is_missing_and_waits_for_it(nats_server):
    """Services start in any order."""
    client = await nats.connect(nats_server.url)
    js = client.jetstream()
    with pytest.raises(TopologyError, match="HISTORY"):
        await verify(js)
    waiting = asyncio.create_task(wait_for(js, asyncio.Event(), poll=0.05))
    await apply(js, SMALL)
    async with asyncio.timeout(10):
        await waiting
    await client.close()


async def test_the_journal_republishes_with_its_sequence(nats_server):
    """What the broadcaster counts on: the journal's own sequence on `live.>`, and a copy in HISTORY."""
    client = await nats.connect(nats_server.url)
    js = client.jetstream()
    await apply(js, SMALL)
    live = await client.subscribe("live.>")
    ack = await js.publish("telemetry.a.measurement", b"[]")
    message = await live.next_msg(timeout=5)
    assert ("live.a.measurement", str(ack.seq)) == (message.subject, message.headers["Nats-Sequence"])

    async def copied():
        return (await js.stream_info("HISTORY")).state.messages == 1

    await eventually(copied, "the copy in HISTORY")
    await client.close()
