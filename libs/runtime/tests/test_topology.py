"""The topology is applied by `setup` and verified by the services, against a real NATS server."""

import asyncio

import nats
import pytest
from nats.js.api import DiscardPolicy, RetentionPolicy
from seve_runtime.errors import TopologyError
from seve_runtime.nats.topology import TopologySettings, apply, differences, streams, verify, wait_for

SMALL = TopologySettings(journal_max_bytes=1 << 20, history_max_bytes=1 << 20)


async def test_applying_twice_changes_nothing_the_second_time(nats_server):
    """`setup` may run before every start."""
    client = await nats.connect(nats_server.url)
    js = client.jetstream()
    assert await apply(js, SMALL) == ["LATEST created", "DEADLETTER created", "TELEMETRY created"]
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
    assert (await js.stream_info("TELEMETRY")).config.max_bytes == 3 << 20
    await client.close()


async def test_a_stream_larger_than_the_disk_is_refused_with_its_setting(nats_server):
    """NATS says only that resources are insufficient."""
    client = await nats.connect(nats_server.url)
    with pytest.raises(TopologyError, match=r"TELEMETRY: insufficient .* lower JOURNAL_MAX_BYTES or HISTORY_MAX_BYTES"):
        await apply(client.jetstream(), TopologySettings(journal_max_bytes=1 << 60))
    await client.close()


@pytest.mark.parametrize(
    ("key", "changed"),
    [
        ("subjects", ["telemetry.>"]),
        ("retention", RetentionPolicy.INTEREST),
        ("discard", DiscardPolicy.OLD),
        ("max_bytes", 1 << 20),
        ("max_msgs_per_subject", 1),
        ("max_age", 60.0),
        ("num_replicas", 3),
        ("duplicate_window", 10.0),
    ],
)
def test_each_field_of_a_stream_s_configuration_is_compared(key, changed):
    """`setup` finds and corrects manual changes."""
    wanted = streams(SMALL)[-1]
    assert differences(wanted, wanted) == []
    assert differences(wanted.evolve(**{key: changed}), wanted) == [key]


async def test_a_configuration_that_was_changed_by_hand_is_corrected(nats_server):
    """A journal that drops its oldest messages when it is full loses some that are not stored."""
    client = await nats.connect(nats_server.url)
    js = client.jetstream()
    await apply(js, SMALL)
    await js.update_stream((await js.stream_info("TELEMETRY")).config.evolve(discard=DiscardPolicy.OLD, max_age=60.0))
    assert await apply(js, SMALL) == ["TELEMETRY updated: discard, max_age"]
    config = (await js.stream_info("TELEMETRY")).config
    assert (config.discard, config.max_age) == ("new", 0)
    await client.close()


async def test_a_service_names_a_missing_stream_and_waits_for_it(nats_server):
    """Services start in any order."""
    client = await nats.connect(nats_server.url)
    js = client.jetstream()
    with pytest.raises(TopologyError, match="LATEST"):
        await verify(js)
    waiting = asyncio.create_task(wait_for(js, asyncio.Event(), poll=0.05))
    await apply(js, SMALL)
    async with asyncio.timeout(10):
        await waiting
    await client.close()


async def test_the_journal_keeps_acknowledged_messages_and_refuses_when_full(nats_server):
    """The stream has both: retention `limits` keeps acknowledged messages, discard `new` refuses when it is full."""
    client = await nats.connect(nats_server.url)
    js = client.jetstream()
    await apply(js, SMALL)
    config = (await js.stream_info("TELEMETRY")).config
    assert (config.retention, config.discard, config.republish) == ("limits", "new", None)
    assert (config.max_bytes, config.max_msgs_per_subject, config.max_age) == (2 << 20, -1, 0)
    consumer = (await js.consumer_info("TELEMETRY", "writer")).config
    assert (consumer.ack_policy, consumer.max_deliver, consumer.ack_wait) == ("explicit", -1, 30.0)
    await client.close()


async def _earlier_layout(js, messages):
    await js.add_stream(name="HISTORY", subjects=["live.>"])
    await js.add_stream(name="TELEMETRY", subjects=["telemetry.>"], retention="workqueue")
    for _ in range(messages):
        await js.publish("telemetry.a.measurement", b"[]")


async def test_an_empty_journal_of_an_earlier_version_is_replaced(nats_server):
    """No message in it waits to be stored, so none is lost."""
    client = await nats.connect(nats_server.url)
    js = client.jetstream()
    await _earlier_layout(js, 0)
    done = await apply(js, SMALL)
    assert done == [
        "TELEMETRY of an earlier version deleted: it was empty",
        "LATEST created",
        "DEADLETTER created",
        "TELEMETRY created",
    ]
    assert [info.config.name for info in await js.streams_info()].count("HISTORY") == 0
    await client.close()


async def test_a_journal_of_an_earlier_version_that_holds_messages_is_refused(nats_server):
    """The error says how to drain it; nothing is deleted."""
    client = await nats.connect(nats_server.url)
    js = client.jetstream()
    await _earlier_layout(js, 2)
    with pytest.raises(TopologyError, match="2 messages are not stored yet: start that version"):
        await apply(js, SMALL)
    assert (await js.stream_info("TELEMETRY")).state.messages == 2
    await client.close()
