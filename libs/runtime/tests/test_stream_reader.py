"""A pass over a real stream returns every message, in order and in chunks, and ends after the last one."""

import asyncio

import pytest
from nats.errors import Error as NatsError
from seve_runtime.nats import stream_reader as reading_module
from seve_runtime.nats.direct import DirectClient, NatsMessage
from seve_runtime.nats.stream_reader import CHUNK, Pass, reading
from support.conditions import eventually
from support.proxy import proxied


@pytest.fixture
async def client(nats_server):
    """A connected client; the server has a stream `S` on `s.>`."""
    client = DirectClient()
    await client.connect(nats_server.url)
    await client.jetstream().add_stream(name="S", subjects=["s.>"])
    yield client
    await client.close()


async def fill(client, count, size=1):
    """Publish numbered messages, alternately on `s.even.<number>` and `s.odd.<number>`."""
    for number in range(count):
        client.publish_direct(f"s.{('even', 'odd')[number % 2]}.{number}", b"x" * size)

    async def stored():
        return (await client.jetstream().stream_info("S")).state.last_seq == count

    await eventually(stored, "all stored")


async def read(client, **which):
    """Return the numbers of the messages, by chunk."""
    chunks = []
    async with reading(client, "S", **which) as stored:
        while chunk := await stored.chunk():
            chunks.append([int(each.subject.rpartition(".")[2]) for each in chunk])
            assert [each.sequence - 1 for each in chunk] == chunks[-1]
        assert stored.pending == 0
    return chunks


async def test_an_empty_stream_ends_at_once(client):
    """The pass does not wait for new messages."""
    assert await read(client) == []


async def test_every_message_is_read_in_order_and_in_chunks(client):
    """A chunk has at most `CHUNK` messages."""
    await fill(client, 2 * CHUNK + 3)
    chunks = await read(client)
    assert [len(chunk) for chunk in chunks] == [CHUNK, CHUNK, 3]
    assert [number for chunk in chunks for number in chunk] == list(range(2 * CHUNK + 3))


async def test_a_pass_may_have_some_subjects_from_a_sequence_on(client):
    """The messages have the sequences of the stream."""
    await fill(client, 10)
    assert await read(client, start=4, subjects=["s.odd.>"]) == [[3, 5, 7, 9]]


async def test_messages_deleted_meanwhile_end_the_pass(client):
    """The server reports that no message is left, so the pass does not wait."""
    await fill(client, CHUNK + 10)
    async with reading(client, "S") as stored:
        assert len(await stored.chunk()) == CHUNK
        await client.jetstream().purge_stream("S")
        assert await stored.chunk() == []
        assert stored.pending == 0


async def test_a_chunk_is_bounded_in_bytes(client, monkeypatch):
    """Messages that do not fit are read with the next chunk."""
    monkeypatch.setattr(reading_module, "CHUNK_BYTES", 100_000)
    await fill(client, 25, size=9_000)
    chunks = await read(client)
    assert [number for chunk in chunks for number in chunk] == list(range(25))
    assert max(map(len, chunks)) <= 11


class LateServer:
    """Answers a request with the end of the previous request, and then with a message."""

    def publish_direct(self, _subject, _request, _inbox):
        completed = b"NATS/1.0 409 Batch Completed\r\nNats-Pending-Messages: 0\r\n\r\n"
        ack = "$JS.ACK.S.reader.1.7.7.1764500000000000000.0"
        self.coming = [NatsMessage("inbox", "", b"", completed), NatsMessage("s.odd.7", ack, b"x")]


async def test_the_late_end_of_a_request_ends_no_other_chunk():
    """The server sends the status `completed` after the last message of a request."""
    server = LateServer()
    stored = Pass(server, "requests", "inbox", 1)
    chunk = asyncio.ensure_future(stored.chunk())
    await asyncio.sleep(0)
    for message in server.coming:
        stored.take(message)
    assert [each.sequence for each in await chunk] == [7]


async def test_a_consumer_that_is_gone_is_an_error(client):
    """It does not look like the end of the stream, which has more messages."""
    await fill(client, CHUNK + 1)
    js = client.jetstream()
    async with reading(client, "S") as stored:
        await stored.chunk()
        [consumer] = await js.consumers_info("S")
        await js.delete_consumer("S", consumer.name)
        with pytest.raises(NatsError):
            await stored.chunk()


async def test_a_silent_server_is_an_error(client, nats_server, monkeypatch):
    """The caller can then retry."""
    monkeypatch.setattr(reading_module, "CHUNK_SECONDS", 0.3)
    await fill(client, CHUNK + 1)
    async with proxied(nats_server.port) as proxy:
        other = DirectClient()
        await other.connect(f"nats://127.0.0.1:{proxy.port}")
        async with reading(other, "S") as stored:
            await stored.chunk()
            proxy.stall()
            with pytest.raises(TimeoutError):
                await stored.chunk()
            proxy.flow()
        await other.close()


async def test_a_pass_leaves_nothing_behind(client):
    """The server has no consumer left, and the client no handler."""
    await fill(client, 3)
    for _ in range(3):
        await read(client)
    assert await client.jetstream().consumers_info("S") == []
    assert not client._handlers
