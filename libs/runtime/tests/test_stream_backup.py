"""A stream that is saved and restored has the same messages with the same sequences."""

import pytest
from nats.aio.client import Client
from nats.js.errors import NotFoundError
from seve_runtime.nats.stream_backup import CHUNK, SnapshotError, restore, snapshot


@pytest.fixture
async def client(nats_server):
    one = Client()
    await one.connect(nats_server.url)
    yield one
    await one.close()


@pytest.mark.parametrize("size", [10, 3000], ids=["less than a chunk", "many chunks"])
async def test_a_restored_stream_has_the_same_messages_and_sequences(client, size):
    js = client.jetstream()
    await js.add_stream(name="S", subjects=["s.>"])
    for number in range(500):
        await js.publish("s.a", b"%d" % number * size)
    await js.purge_stream("S", seq=101)
    chunks = []
    about = await snapshot(client, "S", chunks.append)
    await js.publish("s.a", b"later")
    await js.delete_stream("S")
    whole = b"".join(chunks)
    await restore(client, "S", about, [whole[at : at + CHUNK] for at in range(0, len(whole), CHUNK)])
    after = await js.stream_info("S")
    assert (after.state.first_seq, after.state.last_seq) == (101, 500)
    assert (await js.get_msg("S", 500)).data == b"499" * size


async def test_a_refusal_of_the_server_is_an_error_with_its_reason(client):
    with pytest.raises(SnapshotError, match="NONE: stream not found"):
        await snapshot(client, "NONE", print)
    await client.jetstream().add_stream(name="S", subjects=["s.>"])
    about = await snapshot(client, "S", lambda _: None)
    with pytest.raises(SnapshotError, match="already in use"):
        await restore(client, "S", about, [])
    await client.jetstream().delete_stream("S")
    with pytest.raises(SnapshotError):
        await restore(client, "S", about, [b"no snapshot"])
    with pytest.raises(NotFoundError):
        await client.jetstream().stream_info("S")
