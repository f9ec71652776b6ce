"""The database is down for a while and devices go on sending: memory stays flat, and every row is there afterwards.
With WRITER_OUTAGE=120 the outage takes two minutes at 2,000 samples per second; the test prints how long it took to
store the backlog.
"""

import asyncio
import os
import time
from pathlib import Path

import psycopg
import pytest
from seve_writer.schema.migrate import migrate
from support.conditions import eventually

from .conftest import envelope

SECONDS = int(os.environ.get("WRITER_OUTAGE", "6"))
RATE = 2000
PER_MESSAGE = 10


def resident(pid):
    """Resident memory in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


async def devices(journal, seconds, first):
    """Publish RATE samples per second for so many seconds; return their number."""
    began, number = time.monotonic(), 0
    while (passed := time.monotonic() - began) < seconds:
        while number * PER_MESSAGE < passed * RATE:
            at = (first + number * PER_MESSAGE) * 1000
            await journal.publish(*(envelope(f"module-{number % 50}", at=at + i * 1000) for i in range(PER_MESSAGE)))
            number += 1
        await asyncio.sleep(0.005)  # paces the load: its rate and duration matter here
    return number * PER_MESSAGE


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
async def test_an_outage_costs_neither_rows_nor_memory(journal, process, postgres_server):
    """Down for SECONDS under load: a writer's memory is bounded, however much waits in the journal."""
    migrate(postgres_server.url)
    with psycopg.connect(postgres_server.url, autocommit=True) as before:
        writer = process(DATABASE_URL=postgres_server.url, BATCH_MAX="1000", FETCH_MAX_BYTES="1MiB")
        rows = await devices(journal, 2, 0)
        await eventually(journal.empty, "the first rows stored")
        assert before.execute("SELECT count(*) FROM measurements").fetchone() == (rows,)
    calm = resident(writer.pid)
    postgres_server.kill()
    missed = await devices(journal, SECONDS, rows)
    assert writer.poll() is None
    assert await journal.waiting() == missed / PER_MESSAGE
    during = resident(writer.pid)
    assert during < calm + 24
    postgres_server.start()
    began = time.monotonic()
    await eventually(journal.empty, "the backlog stored", seconds=30 + SECONDS)
    print(f"\n{missed:,} rows waited {SECONDS} s, stored within {time.monotonic() - began:.1f} s")  # noqa: T201
    print(f"memory before, during: {calm:.0f}, {during:.0f} MiB")  # noqa: T201
    rows += missed
    with psycopg.connect(postgres_server.url) as after:
        assert after.execute("SELECT count(*) FROM measurements").fetchone() == (rows,)
        sums = "SELECT sum(received)::int, sum(inserted)::int, sum(dead)::int FROM ledger"
        assert after.execute(sums).fetchone() == (rows, rows, 0)
