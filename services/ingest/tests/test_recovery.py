"""Reading back from a real HISTORY what was published last."""

import msgspec
import pytest
from seve_ingest.publish import recovery
from seve_ingest.publish.recovery import delivery_keys, held_ids
from seve_runtime.nats import topology

TAIL = 2000


@pytest.fixture
def js(client):
    return client.jetstream()


async def publish(js, *keys, name=None):
    """One message of as many envelopes."""
    data = msgspec.json.encode([{"deliveryKey": key} for key in keys])
    await js.publish("telemetry.m.measurement", data, headers={"Nats-Msg-Id": name} if name else None)


async def test_an_empty_history_tells_nothing(client, js):
    """The first start of all."""
    assert await delivery_keys(client, TAIL, "ab") == []


async def test_keys_come_oldest_first_and_only_one_s_own(client, js):
    """Also from messages of many envelopes, and of QoS 0, which have none."""
    await publish(js, "ab01:0", "ab01:1")
    await publish(js, "cd02:0", None, "ab03:0")
    assert await delivery_keys(client, TAIL, "ab") == ["ab01:0", "ab01:1", "ab03:0"]


async def test_no_more_than_the_tail_is_read(client, js):
    """Counted in messages, from the end."""
    for number in range(5):
        await publish(js, f"ab{number}:0")
    assert await delivery_keys(client, 2, "ab") == ["ab3:0", "ab4:0"]
    assert await delivery_keys(client, 0, "ab") == []


@pytest.mark.parametrize("count", [1, 3, 4, 20])
async def test_stretches_join_without_gap_or_overlap(client, js, monkeypatch, count):
    """However long the history is."""
    monkeypatch.setattr(recovery, "FIRST_STRETCH", 1)
    for number in range(count):
        await publish(js, f"ab{number}:0")
    assert [f"ab{number}:0" for number in range(count)] == await delivery_keys(client, TAIL, "ab")


async def test_reading_ends_with_what_can_be_remembered(client, js, monkeypatch):
    """Older keys would be forgotten at once."""
    monkeypatch.setattr(recovery, "FIRST_STRETCH", 1)
    monkeypatch.setattr(recovery, "KNOWN_BEFORE", 2)
    for number in range(20):
        await publish(js, f"ab{number}:0")
    assert await delivery_keys(client, TAIL, "ab") == ["ab17:0", "ab18:0", "ab19:0"]


async def test_a_purged_history_is_an_empty_one(client, js):
    """Nothing is waited for that cannot come."""
    await publish(js, "ab01:0")
    assert await delivery_keys(client, TAIL, "ab") == ["ab01:0"]
    await js.purge_stream(topology.HISTORY)
    history_before, recovery.CATCH_UP_SECONDS = recovery.CATCH_UP_SECONDS, 0.2
    try:
        assert await delivery_keys(client, TAIL, "ab") == []
    finally:
        recovery.CATCH_UP_SECONDS = history_before


async def test_ids_that_are_held_are_told_from_those_that_are_not(client, js):
    """The copies in HISTORY keep the id of their publish."""
    await publish(js, "ab01:0", name="one")
    await publish(js, "ab02:0", name="two")
    assert {"one"} == await held_ids(client, TAIL, {"one", "three"})
