"""A watch counts the samples of its load, by client, and logs when each arrived."""

import asyncio
import json
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

import pytest
from seve_fleet.load import watcher
from seve_fleet.load.frames import PING, Frame, Reader, request
from seve_fleet.load.watcher import Watch, connect_all, keep_all
from support.conditions import eventually
from websockets.asyncio.server import serve
from websockets.frames import Opcode
from websockets.protocol import OPEN, Protocol, Side

OPENED = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"


def sample(value):
    return json.dumps({"event": "mqtt-message", "data": {"kind": "measurement", "value": value}}).replace(" ", "")


def wire(*texts):
    """Return the frames of a server for these texts, as encoded by websockets."""
    server = Protocol(Side.SERVER, state=OPEN)
    for text in texts:
        server.send_text(text.encode())
    server.send_ping(b"you?")
    return b"".join(server.data_to_send())


@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_frames_are_read_however_they_are_cut(step):
    texts = ["short", "x" * 200, "y" * 70_000]
    data, reader = OPENED + wire(*texts), Reader()
    frames = [frame for at in range(0, len(data), step) for frame in reader.feed(data[at : at + step])]
    assert frames == [*(Frame(Opcode.TEXT, text.encode()) for text in texts), Frame(PING, b"you?")]


def test_a_refused_handshake_is_an_error():
    with pytest.raises(ConnectionError, match="403 Forbidden"):
        Reader().feed(b"HTTP/1.1 403 Forbidden\r\n\r\n")


def test_samples_outside_the_load_do_not_count_and_repeated_ones_are_listed():
    watch, counted = Watch(100, 10), bytearray(10)
    watch.take([Frame(Opcode.TEXT, sample(value).encode()) for value in (99, 100, 109, 110, 109)], counted)
    assert (watch.seen, watch.repeated, watch.log[0], watch.log[2]) == (2, [9], 0, 9)


def test_skipped_messages_are_counted():
    watch = Watch(0, 1)
    watch.take([Frame(Opcode.TEXT, b'{"event":"gap","from":"1"}'), Frame(Opcode.TEXT, b'{"event":"skipped"}')], b"")
    assert (watch.gaps, watch.skipped) == (1, 1)


async def test_every_client_is_live_and_answers_pings():
    async def broadcaster(connection):
        await connection.send('{"event":"live","seq":"1"}')
        await (await connection.ping())
        await connection.send(sample(0))
        await connection.wait_closed()

    async with serve(broadcaster, "127.0.0.1", 0) as server:
        watch = Watch(0, 1)
        clients = await connect_all(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws?module=*", 3, watch)
        await eventually(lambda: watch.seen >= 3, "a sample at each client")
        for client in clients:
            client.close()


def test_the_handshake_asks_for_its_path():
    assert request("h:1", "/ws?module=*").startswith(b"GET /ws?module=* HTTP/1.1\r\nHost: h:1\r\n")


@asynccontextmanager
async def kept(monkeypatch, *, stay, closes):
    """Run a client against a broadcaster; return the `since` of each of its connections."""
    monkeypatch.setattr(watcher, "BACK_AFTER", (0, 0))
    asked = []

    async def broadcaster(connection):
        asked.append(parse_qs(urlsplit(connection.request.path).query).get("since"))
        token = f"a-{len(asked)}"
        await connection.send(json.dumps({"event": "live", "seq": token}, separators=(",", ":")))
        if closes:
            await connection.close()
        await connection.wait_closed()

    async with serve(broadcaster, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws?module=*"
        tasks = await keep_all(url, 1, Watch(0, 1), stay)
        try:
            yield asked
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def enough(asked):
    await eventually(lambda: len(asked) >= 3, "three connections")


async def test_a_client_whose_connection_is_lost_resumes_where_it_was(monkeypatch):
    async with kept(monkeypatch, stay=0, closes=True) as asked:
        await enough(asked)
    assert asked[:3] == [None, ["a-1"], ["a-2"]]


async def test_a_client_that_leaves_by_itself_comes_back_as_a_new_one(monkeypatch):
    async with kept(monkeypatch, stay=0.01, closes=False) as asked:
        await enough(asked)
    assert asked[:3] == [None] * 3
