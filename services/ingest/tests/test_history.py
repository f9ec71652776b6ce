"""Reading back from a real HISTORY what was published last."""

import msgspec
import nats
import pytest
from seve_ingest import history
from seve_ingest.history import delivery_keys, held_ids
from seve_runtime import topology

TAIL = 2000


@pytest.fixture
async def js(streams):
    client = await nats.connect(streams.url)
    yield client.jetstream()
    await client.close()


async def publish(js, *keys, name=None):
    """One message of as many envelopes."""
    data = msgspec.json.encode([{"deliveryKey": key} for key in keys])
    await js.publish("telemetry.m.measurement", data, headers={"Nats-Msg-Id": name} if name else None)


async def test_an_empty_history_tells_nothing(js):
    """The first start of all."""
    assert await delivery_keys(js, TAIL, "ab") == []


async def test_keys_come_oldest_first_and_only_one_s_own(js):
    """Also from messages of many envelopes, and of QoS 0, which have none."""
    await publish(js, "ab01:0", "ab01:1")
    await publish(js, "cd02:0", None, "ab03:0")
    assert await delivery_keys(js, TAIL, "ab") == ["ab01:0", "ab01:1", "ab03:0"]


async def test_no_more_than_the_tail_is_read(js):
    """Counted in messages, from the end."""
    for number in range(5):
        await publish(js, f"ab{number}:0")
    assert await delivery_keys(js, 2, "ab") == ["ab3:0", "ab4:0"]
    assert await delivery_keys(js, 0, "ab") == []


@pytest.mark.parametrize("count", [1, 3, 4, 20])
async def test_stretches_join_without_gap_or_overlap(js, monkeypatch, count):
    """However long the history is."""
    monkeypatch.setattr(history, "FIRST_STRETCH", 1)
    for number in range(count):
        await publish(js, f"ab{number}:0")
    assert [f"ab{number}:0" for number in range(count)] == await delivery_keys(js, TAIL, "ab")


async def test_reading_ends_with_what_can_be_remembered(js, monkeypatch):
    """Older keys would be forgotten at once."""
    monkeypatch.setattr(history, "FIRST_STRETCH", 1)
    monkeypatch.setattr(history, "KNOWN_BEFORE", 2)
    for number in range(20):
        await publish(js, f"ab{number}:0")
    assert await delivery_keys(js, TAIL, "ab") == ["ab17:0", "ab18:0", "ab19:0"]


async def test_a_purged_history_is_an_empty_one(js):
    """Nothing is waited for that cannot come."""
    await publish(js, "ab01:0")
    assert await delivery_keys(js, TAIL, "ab") == ["ab01:0"]
    await js.purge_stream(topology.HISTORY)
    history_before, history.CATCH_UP_SECONDS = history.CATCH_UP_SECONDS, 0.2
    try:
        assert await delivery_keys(js, TAIL, "ab") == []
    finally:
        history.CATCH_UP_SECONDS = history_before


async def test_ids_that_are_held_are_told_from_those_that_are_not(js):
    """The copies in HISTORY keep the id of their publish."""
    await publish(js, "ab01:0", name="one")
    await publish(js, "ab02:0", name="two")
    assert {"one"} == await held_ids(js, TAIL, {"one", "three"})
