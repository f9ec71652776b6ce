"""Limits, slow clients, dead peers and the stop, with real sockets: what connections may do and how they end."""

import asyncio
import contextlib
import json
import urllib.request

import pytest
from support.broadcasting import broadcasting, envelope, watching
from support.conditions import eventually, free_port
from support.raw_client import deaf
from websockets.exceptions import ConnectionClosed, InvalidStatus

BIG = "x" * 4000


async def close_code(screen):
    """Wait for the end of the connection; return its close code."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await screen.read()
    return screen.connection.close_code


async def flood(journal, module, count):
    """Publish large, numbered messages of one series."""
    for value in range(count):
        await journal.publish(envelope(module, float(value), metadata={"padding": BIG}))


async def test_a_message_that_is_no_action_is_an_error_and_the_connection_stays(ws_url):
    """Each fault has its code; no message of a client is answered with more than an error."""
    said = ["{", '{"action":"fly"}', '{"action":"subscribe"}', '{"action":"subscribe","modules":[]}']
    said += ['{"action":"subscribe","modules":["a"],"since":"yesterday"}', '{"action":"unsubscribe","modules":["a"]}']
    async with watching(ws_url) as screen:
        for text in said:
            await screen.connection.send(text)
        codes = [(await screen.read())["code"] for _ in said]
        assert codes == ["malformed", "invalid", "invalid", "invalid", "invalid", "not_subscribed"]
        await screen.say(action="subscribe", modules=["a"])
        assert (await screen.read())["event"] == "subscribed"


@pytest.mark.parametrize(
    ("setting", "expected"),
    [({"WS_MAX_CLIENTS": "1"}, 1013), ({"WS_MAX_CLIENTS_PER_ADDRESS": "1"}, 1008)],
    ids=["full", "address"],
)
async def test_one_client_too_many_is_closed_with_a_reason(nats_server, journal, setting, expected):
    """1013 if the server is full, 1008 if the address has too many. Open connections stay; a closed one makes room."""
    async with broadcasting(nats_server.url, **setting) as url:
        async with watching(url, modules=["a"]) as first:
            await first.until("live")
            async with watching(url) as second:
                assert expected == await close_code(second)
        async with watching(url, modules=["a"]) as third:
            await third.until("live")


async def test_too_many_messages_close_with_1008_and_too_long_ones_with_1009(nats_server, journal):
    """These limits hold for all messages of a client."""
    async with broadcasting(nats_server.url, WS_MAX_MESSAGE_RATE="1", WS_MAX_MESSAGE_BYTES="1KiB") as url:
        async with watching(url) as screen:
            for _ in range(12):
                await screen.connection.send("{}")
            assert await close_code(screen) == 1008
        async with watching(url) as screen:
            await screen.connection.send("x" * 2000)
            assert await close_code(screen) == 1009


async def test_a_slow_client_that_asked_for_it_is_disconnected(nats_server, journal):
    """`slow: disconnect`: closed with 1013 when its buffer is full; other clients get everything."""
    async with broadcasting(nats_server.url, WS_BUFFER_BYTES="64KiB") as url, watching(url, modules=["a"]) as screen:
        with deaf(url, slow="disconnect"):
            await screen.until("live")
            reading = asyncio.create_task(screen.until("mqtt-message", 2000))
            await flood(journal, "a", 2000)
            values = [frame["data"]["value"] for frame in await reading]
            assert values == [float(value) for value in range(2000)]
            await eventually(
                lambda: url.broadcaster.metric("disconnected_clients_total", reason="slow"),
                "the slow client disconnected",
            )


async def test_a_slow_client_skips_and_the_others_see_everything(nats_server, journal):
    """`slow: conflate`: the client is told how much it missed and gets the newest values; its buffer stays within its
    bound. The admin port names the client.
    """
    admin = f"127.0.0.1:{free_port()}"
    options = {"WS_BUFFER_BYTES": "64KiB", "WS_PING_INTERVAL": "60s", "ADMIN_LISTEN": admin}
    async with broadcasting(nats_server.url, **options) as url:
        with deaf(url, takes=65536) as sock:
            async with watching(url, modules=["a"]) as screen:
                await screen.until("live")
                reading = asyncio.create_task(screen.until("mqtt-message", 2000))
                await flood(journal, "a", 2000)
                await reading
            assert url.broadcaster.metric("clients", pace="slow") == 1
            assert url.broadcaster.metric("queue_bytes") < 64 * 1024 + 20_000
            [slow] = [one for one in await asyncio.to_thread(asked, f"http://{admin}/clients") if one["queueBytes"]]
            assert (slow["address"], slow["pace"], slow["subscriptions"]) == ("127.0.0.1", "slow", 1)
            assert slow["missed"] > 0
            frames = await asyncio.to_thread(read_until, sock, b'"event":"skipped"')
        assert b'"event":"skipped"' in frames
        await eventually(lambda: url.broadcaster.metric("skipped_envelopes_total"), "the skip counted")


async def test_a_client_with_a_full_buffer_at_the_head_is_slow(nats_server, journal):
    """A client whose buffer filled while it was behind must not become live: no callback would report the full
    buffer.
    """
    async with broadcasting(nats_server.url, WS_BUFFER_BYTES="64KiB", WS_PING_INTERVAL="60s") as url:
        metric = url.broadcaster.metric
        await journal.publish(*(envelope("a", float(n), sensor=f"s{n}", metadata={"padding": BIG}) for n in range(14)))
        await eventually(lambda: metric("received_messages_total") == 1, "the snapshot")
        with deaf(url) as sock:
            asked = 0
            while not asked or metric("clients", pace="live"):
                asked += 1
                await eventually(lambda: metric("snapshots_total") == asked, "an answer")  # noqa: B023  (at once)
                await journal.publish(envelope("b", 0.0))
                await eventually(lambda: metric("received_messages_total") == 1 + asked, "a turn later")  # noqa: B023
                assert metric("queue_bytes") < 64 * 1024 or not metric("clients", pace="live")
                sock.sendall(masked(b'{"action":"subscribe","modules":["a"]}'))


def masked(text):
    """A text frame as a client sends it."""
    return bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text


def asked(url):
    """Return the decoded answer of a URL."""
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.loads(answer.read())


def read_until(sock, wanted):
    sock.settimeout(20)
    read = b""
    while wanted not in read[-200_000:]:
        read += sock.recv(65536)
    return read


async def test_a_dead_peer_is_disconnected(nats_server, journal):
    """A client that answers no ping is cut after twice the interval; one that does stays."""
    async with broadcasting(nats_server.url, WS_PING_INTERVAL="2s") as url, watching(url, modules=["a"]) as screen:
        with deaf(url):
            await screen.until("live")
            metric = url.broadcaster.metric
            await eventually(lambda: metric("disconnected_clients_total", reason="ping") == 1, "the dead peer let go")
            await eventually(lambda: metric("clients", pace="live") == 1, "it is no client any more")
            assert metric("disconnected_clients_total", reason="ping") == 1


async def test_a_stop_says_when_to_come_back_and_closes_with_1001(nats_server, journal):
    """Each client at another time, so that they do not all come at once."""
    waits = []
    async with broadcasting(nats_server.url) as url:
        screens = [watching(url, modules=["a"]) for _ in range(5)]
        opened = [await screen.__aenter__() for screen in screens]
        for screen in opened:
            await screen.until("live")
        ending = asyncio.create_task(url.broadcaster.end())
        for screen in opened:
            waits.append((await screen.until("closing"))[-1]["retryAfterMs"])
            assert await close_code(screen) == 1001
        await ending
        for screen in screens:
            await screen.__aexit__(None, None, None)
    assert all(wait >= 250 for wait in waits)
    assert len(set(waits)) > 1


async def test_a_stop_does_not_wait_for_full_buffers(nats_server, journal):
    """A client that reads nothing is cut off; the broadcaster ends within its grace."""
    async with broadcasting(nats_server.url, WS_BUFFER_BYTES="16KiB", SHUTDOWN_GRACE="5s") as url:
        with deaf(url):
            async with watching(url, modules=["a"]) as screen:
                await screen.until("live")
                await flood(journal, "a", 1500)
                await eventually(lambda: url.broadcaster.metric("clients", pace="slow"), "the client slow")
            await url.broadcaster.end()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:9999"}, 403),
    ],
)
async def test_a_page_of_a_foreign_origin_is_refused(ws_url, headers, status):
    """Before the handshake completes: cross-site WebSocket hijacking and DNS rebinding alike."""
    with pytest.raises(InvalidStatus) as refusal:
        async with watching(ws_url, headers=headers):
            pass
    assert status == refusal.value.response.status_code


async def test_the_page_of_this_server_may_connect_and_so_may_listed_ones(nats_server, journal):
    """Same origin, or one of `WS_ORIGINS`."""
    async with broadcasting(nats_server.url, WS_ORIGINS="https://board.example") as url:
        own = url.replace("ws://", "http://").removesuffix("/ws")
        for headers in [{"Origin": own}, {"Origin": "https://board.example"}]:
            async with watching(url, modules=["a"], headers=headers) as screen:
                await screen.until("live")


@pytest.mark.parametrize(("host", "status"), [("evil.example", 421), ("seve.example", 200), ("127.0.0.1", 200)])
async def test_a_name_that_is_not_ours_is_refused(nats_server, journal, host, status):
    """Only `WS_HOSTS`, `localhost` and literal addresses are: any other name may be a foreign page's, resolved to
    here.
    """
    async with broadcasting(nats_server.url, WS_HOSTS="seve.example") as url:
        port = int(url.rsplit(":", 1)[1].split("/")[0])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET /api/modules HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert f"HTTP/1.1 {status} ".encode() in await reader.readline()
        writer.close()


async def test_frames_hold_the_published_bytes(ws_url, journal):
    """Nothing is decoded and encoded again on the way, so not even equivalent JSON differs."""
    odd = envelope("a", 1.0, metadata={"é": "\u2028", "n": 1e-7})
    async with watching(ws_url, modules=["a"]) as screen:
        await screen.until("live")
        await journal.publish_raw(b"[ " + encoded(odd) + b" ]")
        text = await screen.connection.recv()
        assert encoded(odd) in text.encode()


def encoded(one):
    from seve_schema.codec import encode

    return encode(one).replace(b'"value":1.0', b'"value":1.000')


async def test_every_event_is_counted(ws_url, journal):
    """Clients, subscriptions, frames, bytes and age."""
    async with watching(ws_url, modules=["a", "b"]) as screen:
        await screen.until("live")
        await journal.publish(envelope("a", 1.0), envelope("a", 2.0))
        await screen.until("mqtt-message", 2)
        metric = ws_url.broadcaster.metric
        assert (metric("clients", pace="live"), metric("subscriptions")) == (1, 2)
        assert (metric("received_envelopes_total"), metric("sent_frames_total")) == (2, 4)
        assert metric("sent_bytes_total") > sum(len(json.dumps(frame)) for frame in screen.frames) * 0.8
        assert metric("age_at_frame_seconds_count") == 1
