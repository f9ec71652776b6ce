"""The direct client delivers the same messages as nats-py in the same order, however the bytes are split, and survives
the same failures.
"""

import asyncio
import random

import pytest
from nats.errors import ConnectionClosedError, MaxPayloadError, ProtocolError
from nats.protocol.parser import Parser
from seve_runtime.health import Health
from seve_runtime.nats.connection import NatsSettings, connected
from seve_runtime.nats.direct import DirectClient, NatsMessage, _DirectParser
from support.conditions import eventually

HEADERS = b"NATS/1.0\r\nNats-Msg-Id: a:0\r\nNats-Sequence: 17\r\n\r\n"


class Recorder:
    """A client that records the parser's calls."""

    is_connected = False

    def __init__(self):
        self.calls = []

    async def _process_msg(self, *message):
        self.calls.append(message)

    async def _process_ping(self):
        self.calls.append("ping")

    async def _process_pong(self):
        self.calls.append("pong")

    async def _process_err(self, text):
        self.calls.append(text)

    async def _process_info(self, info):
        self.calls.append(info)


def lines(chance):
    """Return one protocol line of a random type, with its body if it has one."""
    body = chance.randbytes(chance.choice([0, 1, 30, 3000])).replace(b"\0", CONTROL)
    return chance.choice(
        [
            b"MSG here 1 %d\r\n%b\r\n" % (len(body), body),
            b"MSG there 22 reply.to %d\r\n%b\r\n" % (len(body), body),
            b"HMSG here 1 %d %d\r\n%b%b\r\n" % (len(HEADERS), len(HEADERS) + len(body), HEADERS, body),
            b"HMSG here 22 reply.to %d %d\r\n%b%b\r\n" % (len(HEADERS), len(HEADERS) + len(body), HEADERS, body),
            b"PING\r\n",
            b"PONG\r\n",
            b"+OK\r\n",
            b"-ERR 'Permissions Violation'\r\n",
            b'INFO {"server_id":"x"}\r\n',
        ]
    )


CONTROL = b"\r\nPING\r\nMSG a 1 2\r\n"


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("longest", [1, 7, 200, 32768])
async def test_any_chunks_are_parsed_as_nats_py_parses_them(seed, longest):
    """Bodies contain line ends and commands; a chunk ends anywhere, and comes from the socket or nats-py's reader."""
    chance = random.Random(seed)
    stream = b"".join(lines(chance) for _ in range(12))
    theirs, ours = Recorder(), Recorder()
    await Parser(theirs).parse(stream)

    def one(message):
        ours.calls.append((1, message.subject.encode(), message.reply.encode(), message.data, message.headers or None))

    parser = _DirectParser(ours, {b"1": one})
    while stream:
        size = chance.randint(1, longest)
        behind = stream[:size] if chance.random() < 0.3 else parser.take(stream[:size])
        await parser.parse(behind)
        stream = stream[size:]
    assert ours.calls == theirs.calls


@pytest.mark.parametrize("line", [b"MSG here 1 x\r\n", b"MSG 1\r\n", b"HMSG a 3\r\n", b"hello\r\n"])
async def test_an_unknown_line_is_a_protocol_error(line):
    """On this error nats-py reconnects."""
    with pytest.raises(ProtocolError):
        await _DirectParser(Recorder(), {}).parse(line)


async def test_a_new_connection_resets_the_parser():
    """The first half of a message from the old connection is dropped."""
    recorder = Recorder()
    parser = _DirectParser(recorder, {})
    await parser.parse(b"MSG a 1 100\r\nhalf")
    parser.reset()
    await parser.parse(b"PING\r\n")
    assert recorder.calls == ["ping"]


@pytest.mark.parametrize(("name", "value"), [("Nats-Sequence", "17"), ("Nats-Msg-Id", "a:0"), ("Sequence", None)])
def test_a_header_is_read_by_its_whole_name(name, value):
    """A name that ends with the requested one is another header."""
    assert NatsMessage("a", "", b"", HEADERS).header(name) == value
    assert NatsMessage("a", "", b"").header(name) is None


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 1\r\n\r\n", ("408", "Request Timeout")),
        (b"NATS/1.0 503\r\n\r\n", ("503", "")),
        (HEADERS, ("", "")),
        (b"", ("", "")),
    ],
)
def test_a_status_is_read_from_the_headers(headers, status):
    """The server sends a status instead of a message; a message has none."""
    assert NatsMessage("a", "", b"", headers).status == status


@pytest.fixture(params=[0.0, 0.005], ids=["reading at once", "reading at a pace"])
async def client(request, nats_server):
    """A direct client, connected to a real server."""
    stop = asyncio.Event()
    settings = NatsSettings(nats_url=(nats_server.url,))
    async with connected(settings, "test", Health("nats"), stop) as client:
        client.read_pace = request.param
        yield client


async def test_messages_come_in_order_between_other_subscriptions(client):
    """The other subscriptions are nats-py's, and get the same messages."""
    assert isinstance(client, DirectClient)
    taken = []

    def take(message):
        taken.append(int(message.data))

    await client.subscribe_direct("numbers.>", take)
    other = await client.subscribe("numbers.*")
    for number in range(1000):
        client.publish_direct(f"numbers.{number % 7}", b"%d" % number, headers=HEADERS * (number % 2))
    seen = [await other.next_msg(timeout=10) for _ in range(1000)]
    assert [int(message.data) for message in seen] == taken == list(range(1000))
    assert seen[1].headers == {"Nats-Msg-Id": "a:0", "Nats-Sequence": "17"}


async def test_large_messages_come_in_order_among_small_ones(client):
    """Reads of more than 64 KiB, which yield to the event loop, alternate with small ones, which do not."""
    taken, sizes = [], [7, 200_000, 20_000, 0, 70_000] * 8

    def take(message):
        taken.append(len(message.data))

    await client.subscribe_direct("sizes", take)
    other = await client.subscribe("sizes", pending_bytes_limit=1 << 30)
    for size in sizes:
        client.publish_direct("sizes", bytes(size))
        await asyncio.sleep(0)
    seen = [len((await other.next_msg(timeout=10)).data) for _ in sizes]
    assert seen == taken == sizes


async def test_a_failing_handler_loses_one_message(client):
    """nats-py's error callback reports the failure; the connection stays open."""
    taken = []

    def take(message):
        taken.append(message.data)
        raise ValueError(message.data)

    await client.subscribe_direct("here", take)
    client.publish_direct("here", b"one")
    client.publish_direct("here", b"two")
    await eventually(lambda: taken == [b"one", b"two"], "both")
    assert client.is_connected


async def test_a_subscription_survives_the_server(client, nats_server):
    """A message published during the outage is sent after it, if nats-py's buffer has room for it."""
    taken = []

    def take(message):
        taken.append(message.data)

    await client.subscribe_direct("here", take)
    await asyncio.to_thread(nats_server.kill)
    await eventually(lambda: not client.is_connected, "disconnected")
    client.publish_direct("here", b"meanwhile")
    await asyncio.to_thread(nats_server.start)
    await eventually(lambda: taken == [b"meanwhile"], "published late")


async def test_a_publish_that_cannot_be_sent_raises(client):
    """With the errors that nats-py raises."""
    with pytest.raises(MaxPayloadError):
        client.publish_direct("here", bytes(client.max_payload + 1))
    await client.close()
    with pytest.raises(ConnectionClosedError):
        client.publish_direct("here", b"")
