"""What a NATS message costs a client, nats-py's way and directly: received without and with headers, and published.

    .venv/bin/python tests/bench/bench_nats_client.py [--messages 20000]

Receiving is parsing bytes and calling the handler, without a socket; publishing goes to a real server, and what the
event loop does to send is counted. CPU of this process, in turn.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import uvloop
from nats.aio.client import Client
from seve_runtime.nats.direct import DirectClient
from support.embedded import NatsServer

HEADERS = (
    b"NATS/1.0\r\nNats-Msg-Id: 5f1c7a3e9b2d-4711\r\nNats-Stream: TELEMETRY\r\nNats-Subject: telemetry.a.measurement\r\n"
    b"Nats-Sequence: 123456\r\nNats-Time-Stamp: 2025-11-30T19:00:00.012345678Z\r\nNats-Last-Sequence: 0\r\n\r\n"
)
ID = b"NATS/1.0\r\nNats-Msg-Id: 5f1c7a3e9b2d-4711\r\n\r\n"
ENVELOPE = b"x" * 260
READ = 32768
TOGETHER = 10
"""Published in one turn of the loop."""


def stream(subscription, messages, headers):
    """A server's bytes, in reads."""
    size = len(headers) + len(ENVELOPE)
    line = b"HMSG live.a.measurement %d %d %d\r\n" % (subscription, len(headers), size) if headers else b""
    line = line or b"MSG live.a.measurement %d %d\r\n" % (subscription, size)
    message = b"".join((line, headers, ENVELOPE, b"\r\n"))
    together = READ // len(message)  # whole messages: between two, the connection's own reads may come
    return [message * min(together, messages - at) for at in range(0, messages, together)]


async def received(client, messages, headers):
    """Seconds of CPU that taking in so many messages costs."""
    taken, direct = 0, isinstance(client, DirectClient)

    async def take(message):
        nonlocal taken
        taken += 1
        if headers:
            int(message.header("Nats-Sequence") if direct else message.headers["Nats-Sequence"])

    if direct:
        subscription = await client.subscribe_direct("nothing", take)
    else:
        subscription = await client.subscribe("nothing", cb=take, pending_msgs_limit=0, pending_bytes_limit=0)
    reads, began = stream(subscription._id, messages, headers), time.process_time()
    for read in reads:
        await client._ps.parse(read)
        await asyncio.sleep(0)
    while taken < messages:
        await asyncio.sleep(0)
    return time.process_time() - began


async def published(client, messages):
    """Seconds of CPU that publishing so many costs."""
    direct = isinstance(client, DirectClient)
    began = time.process_time()
    for _ in range(messages // TOGETHER):
        for _ in range(TOGETHER):
            if direct:
                client.publish_direct("a.measurement", ENVELOPE, "_INBOX.here.1", ID)
            else:
                await client.publish("a.measurement", ENVELOPE, "_INBOX.here.1", {"Nats-Msg-Id": "5f1c7a3e9b2d-4711"})
        await asyncio.sleep(0)
    await client.flush()
    return time.process_time() - began


async def run(messages):
    with tempfile.TemporaryDirectory() as folder:
        server = NatsServer(Path(folder))
        server.start()
        ways = (Client(), DirectClient())
        for client in ways:
            await client.connect(server.url)
        try:
            print(f"{'us of CPU a message':<24}{'nats-py':>10}{'direct':>10}")
            for title, measure in {
                "received": lambda client: received(client, messages, b""),
                "received with headers": lambda client: received(client, messages, HEADERS),
                "published with an id": lambda client: published(client, messages),
            }.items():
                for _ in range(3):
                    costs = [await measure(client) / messages * 1e6 for client in ways]
                    print(f"{title:<24}{costs[0]:>10.1f}{costs[1]:>10.1f}", flush=True)
        finally:
            for client in ways:
                await client.close()
            server.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=20_000, help="of each round [20000]")
    uvloop.run(run(parser.parse_args().messages))
