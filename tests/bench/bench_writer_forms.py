"""Which way into the table is fastest: one transaction a batch, its ledger row with it, keys unique and sorted.

    .venv/bin/python tests/bench/bench_writer_forms.py [--latency 0.02]

Forms are compared side by side, round after round, on rows that are new and on rows that are there already.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import psycopg
from bench_writer import Durable
from seve_embedded.servers import postgres
from seve_runtime.settings import Secret
from seve_schema.times import format_time, parse_time
from seve_writer.database import binary_copy, sql
from seve_writer.database.store import Store
from seve_writer.database.transaction import Counts, Plan
from seve_writer.schema.migrate import migrate
from seve_writer.schema.version import verify
from support.proxy import proxied

BASE = 1_764_529_200_000_000
TYPES = ["text", "text", "text", "timestamptz", "float8"]


def batch(number, size):
    """A plan of that many new rows of a hundred series."""
    first = number * size
    rows = sorted((f"module-{i % 25}", f"sensor-{i % 4}", "", BASE + (first + i) * 1000, i / 8) for i in range(size))
    return Plan(BASE, ((number + 1, number + 1),), rows, [], 0, Counts(), redelivered=False)


class Forms:
    """Each method is a form: it commits one plan."""

    def __init__(self, url):
        self.url = url
        self.store = Store(Secret(url), 30, verify)
        self.connection = None

    async def open(self):
        self.connection = await psycopg.AsyncConnection.connect(self.url, autocommit=True, prepare_threshold=None)
        await self.connection.execute("CREATE TEMP TABLE staged (LIKE measurements)")

    async def close(self):
        await self.store.close()
        await self.connection.close()

    async def copy_script(self, plan):
        """COPY, all statements in one message: what the writer does."""
        await self.store.write(plan)

    async def copy_psycopg(self, plan):
        """COPY by psycopg's own writer, statement by statement."""
        async with self.connection.transaction(), self.connection.cursor() as cursor:
            async with cursor.copy(binary_copy.COPY) as copy:
                copy.set_types(TYPES)
                for module, sensor, hardware, moment, value in plan.rows:
                    await copy.write_row((module, sensor, hardware, parse_time(format_time(moment)), value))
            await cursor.execute(sql.ledger(plan, Counts(inserted=len(plan.rows))))

    async def staged(self, plan):
        """COPY into a temporary table, then INSERT ... ON CONFLICT."""
        async with self.connection.transaction(), self.connection.cursor() as cursor:
            async with cursor.copy(binary_copy.COPY.replace("measurements", "staged")) as copy:
                await copy.write(binary_copy.encode(plan.rows))
            await cursor.execute(
                "INSERT INTO measurements SELECT * FROM staged"
                " ON CONFLICT (module_id, sensor_type, hardware_id, time) DO UPDATE SET value = excluded.value"
            )
            await cursor.execute("TRUNCATE staged")
            await cursor.execute(sql.ledger(plan, Counts(inserted=len(plan.rows))))

    async def unnest(self, plan):
        """INSERT ... SELECT FROM unnest ... ON CONFLICT: what the writer does on a conflict."""
        await self.store.write(plan, upsert=True)

    async def copy_then_unnest(self, plan):
        """COPY, and on its unique violation the upsert."""
        try:
            await self.store.write(plan)
        except psycopg.errors.UniqueViolation:
            await self.store.write(plan, upsert=True)


async def compare(url, sizes, seconds, direct):
    """Rows a second of each form, for each size, on new rows and on rows that are there."""
    forms = Forms(url)
    await forms.open()
    names = ["copy_script", "copy_psycopg", "staged", "unnest"]
    there = ["staged", "unnest", "copy_then_unnest"]
    print(f"{'rows a batch':<14}{'form':<20}{'new rows':>12}{'rows there':>12}   rows/s")
    for size in sizes:
        spent, done = defaultdict(float), defaultdict(int)
        async with await psycopg.AsyncConnection.connect(direct, autocommit=True) as clean:
            await clean.execute("TRUNCATE measurements, ledger")
        number, began = 0, time.monotonic()
        while time.monotonic() - began < seconds:
            names = [*names[1:], names[0]]  # none is always the one that follows another
            for name in names:
                plan, number = batch(number, size), number + 1
                await timed(forms, name, "new", plan, spent, done)
            for name in there:
                await timed(forms, name, "there", plan, spent, done)
        for name in sorted({*names, *there}):
            cells = [
                f"{done[name, kind] * size / spent[name, kind]:,.0f}" if done[name, kind] else ""
                for kind in ("new", "there")
            ]
            print(f"{size:<14}{name:<20}{cells[0]:>12}{cells[1]:>12}")
    await forms.close()


async def timed(forms, name, kind, plan, spent, done):
    began = time.perf_counter()
    await getattr(forms, name)(plan)
    spent[name, kind] += time.perf_counter() - began
    done[name, kind] += 1


async def run(asked):
    with tempfile.TemporaryDirectory() as folder:
        database = Durable(Path(folder))
        database.start()
        try:
            migrate(database.url)
            async with proxied(database.port, latency=asked.latency / 2) as proxy:
                url = postgres.url(proxy.port) if asked.latency else database.url
                await compare(url, asked.sizes, asked.seconds, database.url)
        finally:
            database.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds added to each round trip [0]")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each batch size [8]")
    parser.add_argument("--sizes", type=int, nargs="*", default=[100, 1000, 5000], help="rows a batch [100 1000 5000]")
    asyncio.run(run(parser.parse_args()))
