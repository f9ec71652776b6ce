"""Reading back the newest delivery keys from a real journal."""

import msgspec
import pytest
from seve_ingest.publish import recovery
from seve_ingest.publish.recovery import read_back
from seve_ingest.publish.redelivery import client_digest
from seve_runtime.nats import topology
from seve_schema.subjects import ingest_name, telemetry_subject

TAIL = 2000
MINE = client_digest("mine")


@pytest.fixture
def js(client):
    return client.jetstream()


def key(mid, index=0, client="mine"):
    return f"{client_digest(client)}{mid:04x}{mid:016x}:{index}"


async def publish(js, *keys, client="mine"):
    """Publish one message with an envelope for each key."""
    data = msgspec.json.encode([{"deliveryKey": key} for key in keys])
    await js.publish(telemetry_subject(ingest_name(client), "measurement"), data)


async def found(client, tail=TAIL):
    return [(known.mid, known.index) for known in (await read_back(client, "mine", tail)).keys]


async def test_an_empty_journal_has_no_keys(client):
    """As at the very first start."""
    assert await found(client) == []


async def test_keys_of_this_client_are_read_newest_first(client, js):
    """Also from messages with many envelopes; messages of QoS 0 have no keys."""
    await publish(js, key(1, 0), key(1, 1))
    await publish(js, key(7, client="other"), client="other")
    await publish(js, None, key(2))
    assert await found(client) == [(2, 0), (1, 1), (1, 0)]


async def test_no_more_than_the_tail_is_read(client, js):
    """Counted in envelopes, whole messages at a time, from the end."""
    for mid in range(1, 6):
        await publish(js, key(mid), None)
    assert await found(client, 3) == [(5, 0), (4, 0)]
    assert await found(client, 0) == []


@pytest.mark.parametrize("count", [1, 3, 4, 20])
async def test_ranges_join_without_gap_or_overlap(client, js, monkeypatch, count):
    """For journals of any length."""
    monkeypatch.setattr(recovery, "FIRST_STRETCH", 1)
    for mid in range(1, count + 1):
        await publish(js, key(mid))
    assert [(mid, 0) for mid in range(count, 0, -1)] == await found(client)


async def test_reading_ends_when_the_memory_is_full(client, js, monkeypatch):
    """Older keys would be dropped from it at once."""
    monkeypatch.setattr(recovery, "REMEMBERED", 2)
    for mid in range(1, 20):
        await publish(js, key(mid))
    assert await found(client) == [(19, 0), (18, 0)]


async def test_a_purged_journal_is_an_empty_one(client, js):
    """Reading does not wait for messages that no longer exist."""
    await publish(js, key(1))
    await js.purge_stream(topology.JOURNAL)
    assert await found(client) == []


@pytest.mark.parametrize(
    "data", [b"hello", b"[1]", b'[{"deliveryKey": 1}]', b'[{"deliveryKey": "%b:x"}]' % MINE.encode()]
)
async def test_a_message_that_is_no_envelope_is_passed_over(client, js, data):
    """Any user who may publish can have written it; ingest still starts."""
    await publish(js, key(1))
    await js.publish(telemetry_subject(ingest_name("mine"), "log"), data)
    await publish(js, key(2))
    assert await found(client) == [(2, 0), (1, 0)]
