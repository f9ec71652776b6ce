"""What a writer can do: journal to committed rows, alone and as replicas on a distant database.

    .venv/bin/python tests/bench/bench_writer.py [rule-1 rule-16 behind-1 behind-16 scale-1 scale-2 scale-4]

A journal is filled first; then all writers start, and drain it from the same moment on. `rule` holds
batches to the 100-row rule, `behind` lets them grow; the number is that of samples in a NATS message. `scale` puts the
database behind a proxy that adds 20 ms to each round trip. All of it runs on this machine, with fsync on.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import uuid
from pathlib import Path

import nats
import psycopg

sys.path.insert(0, str(Path(__file__).parent.parent))

from seve_embedded.servers import postgres
from seve_runtime.nats import topology
from seve_schema.codec import encode, join
from seve_schema.envelope import Envelope
from seve_schema.subjects import telemetry_subject
from seve_schema.times import format_time
from seve_writer.schema.migrate import migrate
from support.embedded import NatsServer, PostgresServer
from support.proxy import proxied

BASE = 1_764_529_200_000_000
SENSORS = ("co2", "temperature", "humidity", "pressure", "light", "soil", "ph", "ec")
MODULES = 100
TICKS = os.sysconf("SC_CLK_TCK")


class Durable(PostgresServer):
    """As in production: with fsync."""

    def command(self):
        postgres.initialise(self.folder / "data")
        return postgres.command(self.folder / "data", self.port, max_wal_size="4GB", shared_buffers="256MB")


def message(number, per_message):
    """The NATS message `number`: one module's samples, as ingest publishes them."""
    module = f"module-{number % MODULES}"
    envelopes = []
    for index in range(per_message):
        time_ = format_time(BASE + (number * per_message + index) * 1000)
        sensor = SENSORS[index % len(SENSORS)]
        envelopes.append(
            Envelope(
                topic=f"{module}/{sensor}",
                module_id=module,
                kind="measurement",
                sensor_type=sensor,
                value=20.0 + number % 100 / 10,
                time=time_,
                clock="device",
                received_at=time_,
                delivery_key=f"{number:016x}:{index}",
            )
        )
    return telemetry_subject(module, "measurement"), join(map(encode, envelopes))


async def fill(client, messages, per_message):
    """Publish with confirmation, many at a time, each with a message id."""
    inbox, acked, window = client.new_inbox(), 0, asyncio.Semaphore(2000)

    async def confirmed(_):
        nonlocal acked
        acked += 1
        window.release()

    subscription = await client.subscribe(f"{inbox}.*", cb=confirmed)
    run = uuid.uuid4().hex[:8]
    for number in range(messages):
        await window.acquire()
        subject, data = message(number, per_message)
        await client.publish(subject, data, reply=f"{inbox}.{number}", headers={"Nats-Msg-Id": f"{run}-{number}"})
    while acked < messages:
        await asyncio.sleep(0.01)
    await subscription.unsubscribe()


ASK = "SELECT coalesce(sum(received), 0), count(*), max(committed_at) FROM ledger"
CONNECTED = """
SELECT count(*) FROM pg_stat_activity WHERE application_name = 'seve-writer' AND wait_event_type = 'Lock'
"""


async def drain(nats_url, database_url, direct_url, writers, rows, **settings):
    """Start `writers` on a full journal, hold them back until all are there, and let them empty it: rows a second, rows
    a transaction, and the writers' CPU in microseconds a row.
    """
    environ = {"PATH": os.environ["PATH"], "NATS_URL": nats_url, "DATABASE_URL": database_url}
    environ |= {"LOG_LEVEL": "error", "FLUSH_INTERVAL": "100ms"} | settings
    command = [sys.executable, "-m", "seve_writer"]
    processes = [await asyncio.create_subprocess_exec(*command, env=environ) for _ in range(writers)]
    try:
        async with (
            asyncio.timeout(120),
            await psycopg.AsyncConnection.connect(direct_url, autocommit=True) as connection,
        ):
            async with await psycopg.AsyncConnection.connect(direct_url) as holding:
                await holding.execute("LOCK TABLE ledger IN EXCLUSIVE MODE")
                await until(connection, CONNECTED, lambda row: row[0] == writers)
                before = sum(ticks(process.pid) for process in processes)
                (released,) = await (await connection.execute("SELECT clock_timestamp()")).fetchone()
            received, transactions, ended = await until(connection, ASK, lambda row: row[0] >= rows)
        seconds = (ended - released).total_seconds()
        cpu = (sum(ticks(process.pid) for process in processes) - before) / TICKS
        return float(rows / seconds), float(received / transactions), cpu / rows * 1e6
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            await process.wait()


async def until(connection, question, enough):
    """The first answer that is enough."""
    while not enough(answer := await (await connection.execute(question)).fetchone()):
        await asyncio.sleep(0.2)
    return answer


def ticks(pid):
    """CPU time of a process, in ticks."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


async def scenario(folder, messages, per_message, writers, latency, **settings):
    """One line of the table, on fresh servers."""
    nats_server, database = NatsServer(folder / "nats"), Durable(folder / "postgres")
    for server in (nats_server, database):
        server.folder.mkdir(parents=True)
        server.start()
    try:
        migrate(database.url)
        client = await nats.connect(nats_server.url)
        await topology.apply(
            client.jetstream(), topology.TopologySettings(journal_max_bytes=4 << 30, duplicate_window=2)
        )
        await fill(client, messages, per_message)
        await client.close()
        rows = messages * per_message
        async with proxied(database.port, latency=latency) as proxy:
            url = postgres.url(proxy.port) if latency else database.url
            return await drain(nats_server.url, url, database.url, writers, rows, **settings)
    finally:
        nats_server.stop()
        database.stop()


CASES = {
    "rule-1": ("100-row rule, 1 envelope a message", 100_000, 1, 1, 0.0, {"BATCH_MAX": "100"}),
    "rule-16": ("100-row rule, 16 envelopes a message", 14_000, 16, 1, 0.0, {"BATCH_MAX": "112"}),
    "behind-1": ("behind, 1 envelope a message", 200_000, 1, 1, 0.0, {}),
    "behind-16": ("behind, 16 envelopes a message", 40_000, 16, 1, 0.0, {}),
    "scale-1": ("20 ms round trip, 100-row rule, 1 writer", 1_050, 16, 1, 0.010, {"BATCH_MAX": "112"}),
    "scale-2": ("20 ms round trip, 100-row rule, 2 writers", 2_100, 16, 2, 0.010, {"BATCH_MAX": "112"}),
    "scale-4": ("20 ms round trip, 100-row rule, 4 writers", 4_200, 16, 4, 0.010, {"BATCH_MAX": "112"}),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", help=f"{', '.join(CASES)}; all unless named")
    parser.add_argument("--share", type=float, default=1.0, help="share of each case's messages [1.0]")
    asked = parser.parse_args()
    if unknown := set(asked.cases) - set(CASES):
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    print(f"{'':<44} {'rows/s':>8} {'rows a transaction':>20} {'CPU us a row':>14}")
    with tempfile.TemporaryDirectory() as folder:
        for name in asked.cases or CASES:
            title, messages, per_message, writers, latency, settings = CASES[name]
            count = max(1, int(messages * asked.share))
            figures = asyncio.run(scenario(Path(folder) / name, count, per_message, writers, latency, **settings))
            print("{:<44} {:>8,.0f} {:>20,.0f} {:>14.1f}".format(title, *figures), flush=True)


if __name__ == "__main__":
    main()
