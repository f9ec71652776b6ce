"""Clients that send and do not read: their unread answers are bounded, and they are disconnected."""

import asyncio
import contextlib

import pytest
from seve_broadcaster.websocket.router import Router
from support.broadcasting import broadcasting, envelope, watching
from support.conditions import eventually
from support.raw_client import deaf, frame
from websockets.exceptions import ConnectionClosed

BUFFER = 64 << 10
ONE_READ = 256 << 10
"""Bytes that uvloop reads at a time: so many may be answered before the connection is found to be full."""

SAID = {
    "pings": frame(b"x" * 125, opcode=0x9),
    "errors": frame(b"{"),
    "subscriptions": frame(b'{"action":"subscribe","modules":["a"]}'),
}


def send_until_blocked(sock, data, most):
    """Send `data` again and again; return how many bytes the other end took before it stopped reading."""
    sock.settimeout(2)
    block, sent = data * (65536 // len(data)), 0
    with contextlib.suppress(TimeoutError):
        while sent < most:
            sock.sendall(block)
            sent += len(block)
    return sent


@pytest.mark.parametrize("said", SAID)
async def test_a_client_that_reads_no_answers_is_not_read_either(nats_server, journal, said):
    """Pings, errors, subscriptions: once the answers fill the buffer, the server stops reading the connection."""
    limits = {"WS_BUFFER_BYTES": f"{BUFFER >> 10}KiB", "WS_MAX_MESSAGE_RATE": "1000000", "WS_PING_INTERVAL": "60s"}
    async with broadcasting(nats_server.url, **limits) as url:
        with deaf(url) as sock:
            await eventually(lambda: url.broadcaster.metric("subscriptions") == 1, "the client subscribed")
            sent = await asyncio.to_thread(send_until_blocked, sock, SAID[said], 64 << 20)
            assert sent < 64 << 20
            assert url.broadcaster.metric("queue_bytes") < BUFFER + ONE_READ


@pytest.mark.parametrize("said", ["pings", "errors"])
async def test_frames_of_every_sort_count_against_the_rate(nats_server, journal, said):
    """A hundred at once, then ten per second: a client that sends more is closed with 1008."""
    async with broadcasting(nats_server.url) as url, watching(url) as screen:
        transport = screen.connection.transport
        for _ in range(150):
            transport.write(SAID[said])
        with contextlib.suppress(ConnectionClosed):
            while True:
                await screen.read()
        assert screen.connection.close_code == 1008


async def test_a_message_in_countless_fragments_is_ended(nats_server, journal):
    """Empty fragments add nothing to the length of a message, but each would be kept."""
    async with broadcasting(nats_server.url) as url, watching(url) as screen:
        screen.connection.transport.write(frame(b"", opcode=0x1, final=False))
        for _ in range(150):
            screen.connection.transport.write(frame(b"", opcode=0x0, final=False))
        with contextlib.suppress(ConnectionClosed):
            while True:
                await screen.read()
        assert screen.connection.close_code == 1008


async def test_a_client_that_only_sends_is_disconnected(nats_server, journal):
    """Sending is no sign of life while answers are not read: a full buffer that never shrinks ends the connection."""
    limits = {"WS_BUFFER_BYTES": f"{BUFFER >> 10}KiB", "WS_MAX_MESSAGE_RATE": "1000000", "WS_PING_INTERVAL": "2s"}
    async with broadcasting(nats_server.url, **limits) as url:
        metric = url.broadcaster.metric
        with deaf(url) as sock:
            await eventually(lambda: metric("subscriptions") == 1, "the client subscribed")
            sending = asyncio.create_task(asyncio.to_thread(send_for_ever, sock, SAID["pings"]))
            await eventually(lambda: metric("disconnected_clients_total", reason="ping") == 1, "the client let go")
            await sending


async def test_pings_behind_the_request_hold_no_connection_open(nats_server, journal, monkeypatch):
    """Their unread answers fill the buffer before the handshake has ended."""
    answer = Router.answer

    async def late(router, connection, request):
        await eventually(lambda: connection.paused, "the buffer full")
        return answer(router, connection, request)

    monkeypatch.setattr(Router, "answer", late)
    limits = {"WS_BUFFER_BYTES": "16KiB", "WS_MAX_MESSAGE_RATE": "1000000"}
    async with broadcasting(nats_server.url, **limits) as url:
        metric = url.broadcaster.metric
        with deaf(url) as sock:
            sending = asyncio.create_task(asyncio.to_thread(send_for_ever, sock, SAID["pings"]))
            await eventually(
                lambda: metric("disconnected_clients_total", reason="unfinished") == 1, "the client let go"
            )
            await sending


def send_for_ever(sock, data):
    """Send until the other end cuts the connection."""
    sock.settimeout(30)
    with contextlib.suppress(ConnectionError):
        while True:
            sock.sendall(data * 100)


async def test_a_client_with_too_many_pending_answers_is_closed(nats_server, journal):
    """Nothing can be sent until the journal answers. Meanwhile pending answers are bounded: 1013."""
    limits = {"WS_BUFFER_BYTES": "64KiB", "WS_MAX_MESSAGE_RATE": "1000", "RECENT_MAX_BYTES": "1KiB"}
    names = [f"{number:0120}" for number in range(400)]
    async with broadcasting(nats_server.url, **limits) as url, watching(url, modules=["a"]) as screen:
        since = (await screen.until("live"))[-1]["seq"]
        for value in range(20):
            await journal.publish(envelope("a", float(value), metadata={"padding": "x" * 200}))
        await screen.until("mqtt-message", 20)
        nats_server.stop()
        with contextlib.suppress(ConnectionClosed):
            for _ in range(20):
                await screen.say(action="subscribe", modules=names, since=since)
            while True:
                await screen.read()
        assert screen.connection.close_code == 1013
