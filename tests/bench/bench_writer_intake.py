"""What taking a message from the journal and acknowledging it costs: the client library's fetch, and our requests.

    .venv/bin/python tests/bench/bench_writer_intake.py [--messages 20000]

Each drains the same number of messages, with a message id in their headers as ingest's have; CPU is this process's own.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import uvloop
from bench_writer import fill
from seve_runtime.nats import topology
from seve_runtime.nats.direct import DirectClient
from seve_writer.journal.consumer import Intake
from support.embedded import NatsServer


async def by_fetch(client, messages):
    """`fetch` and `ack`, five hundred at a time."""
    subscription = await client.jetstream().pull_subscribe_bind(durable="writer", stream="TELEMETRY")
    taken = 0
    while taken < messages:
        for message in await subscription.fetch(500, timeout=5):
            await message.ack()
            taken += 1
    await subscription.unsubscribe()


async def by_requests(client, messages):
    """Our intake, acknowledging five hundred at a time."""
    stop, arrived, waiting, taken = asyncio.Event(), asyncio.Event(), [], 0

    def keep(delivery):
        waiting.append(delivery)
        arrived.set()

    intake = Intake(client, keep, most=10_000, most_bytes=8 << 20)
    task = asyncio.create_task(intake.run(stop))
    while taken < messages:
        await arrived.wait()
        batch, waiting[:] = waiting[:500], waiting[500:]
        intake.acknowledge(batch)
        taken += len(batch)
        if not waiting:
            arrived.clear()
    stop.set()
    return task  # it waits for its last request, up to a second


async def run(messages):
    with tempfile.TemporaryDirectory() as folder:
        server = NatsServer(Path(folder))
        server.start()
        client = DirectClient()
        await client.connect(server.url)
        try:
            await topology.apply(client.jetstream(), topology.TopologySettings(duplicate_window=2))
            print(f"{'':<14}{'messages/s':>12}{'CPU us a message':>20}")
            for way in (by_fetch, by_requests) * 3:
                await fill(client, messages, 1)
                began, cpu = time.perf_counter(), time.process_time()
                ending = await way(client, messages)
                await client.flush()
                cpu, seconds = time.process_time() - cpu, time.perf_counter() - began
                if ending:
                    await ending
                print(f"{way.__name__:<14}{messages / seconds:>12,.0f}{cpu / messages * 1e6:>20.1f}", flush=True)
        finally:
            await client.close()
            server.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=20_000, help="of each round [20000]")
    uvloop.run(run(parser.parse_args().messages))
