"""HTTP on the WebSocket port: which requests are answered, in which form, and the bounds of unread answers."""

import asyncio
import contextlib
import json
import socket
from urllib.parse import urlsplit

import pytest
from seve_broadcaster.auth.grants import Grant
from seve_broadcaster.websocket.answers import Answers, Busy
from support.broadcasting import broadcasting, envelope
from support.conditions import eventually

from .offline import a_hub, say

PADDING = "x" * 20_000


async def ask(url, *lines, method="GET", path="/api/modules"):
    """Send one request and return the head and the body of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
    writer.write("\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode())
    head, _, body = (await asyncio.wait_for(reader.read(), 20)).partition(b"\r\n\r\n")
    writer.close()
    return head.decode(), body


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (["Sec-Fetch-Site: cross-site"], 403),
        (["Sec-Fetch-Site: same-site"], 403),
        (["Sec-Fetch-Site: same-origin"], 200),
        (["Sec-Fetch-Site: none"], 200),
        (["Sec-Fetch-Site: cross-site", "Origin: https://board.example"], 200),
        (["Sec-Fetch-Site: cross-site", "Origin: https://evil.example"], 403),
    ],
)
async def test_a_page_of_another_site_gets_no_answer(nats_server, journal, headers, status):
    """A foreign page's request for an image or a script has no Origin, but the browser sends `Sec-Fetch-Site`."""
    async with broadcasting(nats_server.url, WS_ORIGINS="https://board.example") as url:
        head, _ = await ask(url, *headers)
        assert head.startswith(f"HTTP/1.1 {status} ")


async def test_a_link_of_another_site_opens_the_page(ws_url):
    """A person may follow a link to the page; the page itself then requests its data."""
    head, _ = await ask(ws_url, "Sec-Fetch-Site: cross-site", path="/")
    assert head.startswith("HTTP/1.1 200 ")


@pytest.mark.parametrize("method", ["HEAD", "TRACE", "POST", "DELETE"])
async def test_other_methods_are_not_allowed(ws_url, method):
    """405, and no body: an answer to HEAD must have none."""
    head, body = await ask(ws_url, method=method)
    assert head.startswith("HTTP/1.1 405 ")
    assert "Allow: GET" in head
    assert body == b""


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [("/ws", [], 426), ("/" + "x" * 10_000, [], 414), ("/", ["X: " + "x" * 10_000], 431)],
)
async def test_requests_rejected_by_websockets_have_the_same_headers(ws_url, path, headers, status):
    """They have the security headers, and do not name the library."""
    head, body = await ask(ws_url, *headers, path=path)
    assert head.startswith(f"HTTP/1.1 {status} ")
    assert "X-Content-Type-Options: nosniff" in head
    assert b"WebSocket" not in body


async def fill(url, journal, modules=100):
    """Publish large envelopes of many modules, so that an answer is far longer than any buffer."""
    for number in range(modules):
        await journal.publish(envelope(f"m{number}", 1.0, metadata={"padding": PADDING}))
    await eventually(lambda: url.broadcaster.metric("modules") == modules, "all modules known")


def unread(url, path="/api/modules"):
    """Send a request and do not read its answer, of which the kernel buffers little."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", urlsplit(url).port))
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return sock


async def test_an_answer_that_is_not_read_is_cut_off(nats_server, journal):
    """After five seconds without progress. A client that reads meanwhile gets the whole answer."""
    async with broadcasting(nats_server.url, WS_BUFFER_BYTES="16KiB") as url:
        await fill(url, journal)
        with contextlib.ExitStack() as stack:
            deaf = [stack.enter_context(unread(url)) for _ in range(8)]
            head, body = await ask(url)
            assert f"Content-Length: {len(body)}" in head
            assert len(json.loads(body)["modules"]) == 100
            metric = url.broadcaster.metric
            await eventually(lambda: metric("disconnected_clients_total", reason="unread") == len(deaf), "all cut off")


async def test_a_request_that_is_not_finished_is_cut_off(nats_server, journal):
    """After three seconds, whether nothing was sent or only its beginning."""
    async with broadcasting(nats_server.url) as url:
        with contextlib.ExitStack() as stack:
            for begun in (b"", b"GET / HTTP/1.1\r\nHost: "):
                sock = stack.enter_context(socket.create_connection(("127.0.0.1", urlsplit(url).port)))
                sock.sendall(begun)
            metric = url.broadcaster.metric
            await eventually(lambda: metric("disconnected_clients_total", reason="unfinished") == 2, "both cut off")


async def test_sockets_of_one_address_are_bounded_whatever_they_are(nats_server, journal):
    """An address may have some sockets besides its clients'; one more is cut at once. Other addresses are served."""
    async with broadcasting(nats_server.url, WS_MAX_CLIENTS_PER_ADDRESS="8") as url:
        port = urlsplit(url).port
        with contextlib.ExitStack() as stack:
            for _ in range(60):
                stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            metric = url.broadcaster.metric
            await eventually(
                lambda: metric("refused_requests_total", reason="sockets") == 60 - 8 - 32, "the others refused"
            )
            other = socket.create_connection(("127.0.0.1", port), source_address=("127.0.0.2", 0), timeout=20)
            stack.enter_context(other)
            other.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await asyncio.to_thread(other.recv, 15)).startswith(b"HTTP/1.1 200")


def test_clients_with_equal_grants_share_one_answer():
    """For a second, then it is encoded again; another grant has its own."""
    hub = a_hub()
    say(hub, envelope("a", 1.0))
    answers = Answers(hub)
    first = answers.take(Grant(), 10.0, 0)
    assert answers.take(Grant(), 10.9, 0) is first
    assert answers.take(Grant(frozenset({"a"})), 10.9, 0) is not first
    assert answers.take(Grant(), 11.0, 0) is not first


def test_unread_answers_are_bounded():
    """Beyond the bound an older answer is shared, which its `since` allows; without one the request is refused."""
    hub = a_hub()
    say(hub, envelope("a", 1.0))
    answers = Answers(hub, most_bytes=1)
    first = answers.take(Grant(), 10.0, 0)
    assert answers.take(Grant(), 20.0, 0) is first
    with pytest.raises(Busy):
        answers.take(Grant(frozenset({"a"})), 20.0, 0)
    with pytest.raises(Busy):
        answers.take(Grant(), 70.0, 0)
    answers.release(first)
    answers.release(first)
    assert answers.take(Grant(), 70.0, 0) is not first
