"""Fixtures of the writer's tests: a prepared journal and database, envelopes as ingest publishes them, and a writer
that runs within the test.
"""

import asyncio
import contextlib
import os
import subprocess
import sys
import uuid
from contextlib import asynccontextmanager

import nats
import psycopg
import pytest
from seve_runtime.errors import Stopped
from seve_runtime.nats import topology
from seve_runtime.settings import Secret, load
from seve_schema.codec import encode, join
from seve_schema.envelope import Envelope
from seve_schema.position import Position
from seve_schema.subjects import ingest_name, telemetry_subject
from seve_schema.times import format_time
from seve_writer.app import app
from seve_writer.database.maintenance import maintain
from seve_writer.database.store import Store
from seve_writer.decode import JournalMessage, read
from seve_writer.journal import consumer
from seve_writer.schema.migrate import migrate
from seve_writer.schema.version import verify
from seve_writer.settings import WriterSettings

BASE = 1_764_529_200_000_000
"""2025-11-30T19:00:00Z."""

STREAMS = topology.TopologySettings(ack_wait=6.0)


def envelope(module="croissance", kind="measurement", *, sensor="co2", value=450.5, at=0, **fields):
    """Return an envelope; `at` is in microseconds after BASE."""
    if kind == "measurement":
        fields = {"sensor_type": sensor, "value": value} | fields
    time = format_time(BASE + at)
    return Envelope(
        **{"topic": f"{module}/x", "module_id": module, "kind": kind, "time": time, "clock": "device"}
        | {"received_at": time}
        | fields
    )


def units(sequence, *envelopes, delivered=1):
    """Return the units of a journal message, as a writer decodes them."""
    subject = telemetry_subject("0a1b2c3d", envelopes[0].kind)
    return read(JournalMessage(subject, join(map(encode, envelopes)), "", sequence, delivered, 0))


@pytest.fixture(autouse=True)
def requests_that_end_soon(monkeypatch):
    """Requests for messages expire after 0.1 s instead of 1 s, so that a writer in this process stops sooner."""
    monkeypatch.setattr(consumer, "EXPIRES", 0.1)


INGEST = ingest_name("seve-ingest")


class Journal:
    """A client of the journal, as ingest is."""

    def __init__(self, client):
        self.client = client
        self.js = client.jetstream()

    async def publish(self, *envelopes):
        """Publish one NATS message, with envelopes of one kind; return its sequence."""
        subject = telemetry_subject(INGEST, envelopes[0].kind)
        return (await self.js.publish(subject, join(map(encode, envelopes)))).seq

    async def waiting(self):
        """Return the number of messages that no writer has acknowledged yet."""
        consumer = await self.js.consumer_info("TELEMETRY", "writer")
        return consumer.num_pending + consumer.num_ack_pending

    async def recreated(self):
        """Delete the stream with everything in it, and create it again."""
        await self.js.delete_stream("TELEMETRY")
        await topology.apply(self.js, STREAMS)

    async def deliver_again(self):
        """Forget every acknowledgement: writers get all messages of the journal again."""
        await self.js.delete_consumer("TELEMETRY", "writer")
        await topology.apply(self.js, STREAMS)

    async def empty(self):
        """Whether everything is acknowledged."""
        return await self.waiting() == 0

    async def deadletters(self):
        """Return all messages of the dead-letter stream, oldest first."""
        last = (await self.js.stream_info("DEADLETTER")).state.last_seq
        return [await self.js.get_msg("DEADLETTER", seq=sequence) for sequence in range(1, last + 1)]


@pytest.fixture
async def journal(nats_server):
    """The topology, applied, and a client."""
    client = await nats.connect(nats_server.url)
    await topology.apply(client.jetstream(), STREAMS)
    yield Journal(client)
    await client.close()


@pytest.fixture(scope="session")
def template(shared_postgres):
    """A database with the writer's tables and nothing in them, to be copied; gives its name."""
    with psycopg.connect(shared_postgres.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE writer_template")
    migrate(shared_postgres.url.rpartition("/")[0] + "/writer_template")
    return "writer_template"


@pytest.fixture
def migrated(shared_postgres, template):
    """A database with the writer's tables and nothing in them; gives its URL."""
    name = f"writer_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(shared_postgres.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield shared_postgres.url.rpartition("/")[0] + f"/{name}"
    with psycopg.connect(shared_postgres.url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def store(migrated):
    """A store on the test's database, without a writer around it."""
    store = Store(Secret(migrated), 10, verify)
    yield store
    await store.close()


@pytest.fixture
def query(migrated):
    """Runs SQL with parameters on the test's database; returns rows."""
    with psycopg.connect(migrated, autocommit=True) as connection:

        def ask(sql, *parameters):
            cursor = connection.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else []

        yield ask


def settings_for(nats_url, database_url, **variables):
    """Return settings read from an environment; its variables are given in lower case."""
    defaults = {"ACK_WAIT": "6s", "SHUTDOWN_GRACE": "8s", "FLUSH_INTERVAL": "100ms"}
    given = {name.upper(): str(value) for name, value in variables.items()}
    return load(WriterSettings, {"NATS_URL": nats_url, "DATABASE_URL": database_url} | defaults | given)


@asynccontextmanager
async def running(settings):
    """Run a writer in this test's event loop, and stop it as SIGTERM does; yields its task."""
    stop = asyncio.Event()
    task = asyncio.create_task(app(settings, stop))
    try:
        yield task
    finally:
        stop.set()
        with contextlib.suppress(Stopped):  # as the command does: stopped before it was ready
            await task


def maintaining(database_url, stop, *, retention=90 * 86400.0, log_retention=30 * 86400.0, notice=0.0):
    """Run maintenance every 20 ms, for a journal of which nothing is stored."""
    return maintain(
        Secret(database_url),
        retention=retention,
        log_retention=log_retention,
        interval=0.02,
        floor=lambda: Position(1, 0),
        stop=stop,
        notice=notice,
    )


@pytest.fixture
def writer(nats_server, migrated):
    """A writer on the test's journal and database, started by calling this with variables and entering it."""

    def start(**variables):
        return running(settings_for(nats_server.url, migrated, **variables))

    return start


@pytest.fixture
def process(nats_server, migrated, tmp_path):
    """Starts a writer as a process of its own; whatever still runs at the end is killed."""
    started = []

    def start(**variables):
        environ = {
            "PATH": os.environ["PATH"],
            "NATS_URL": nats_server.url,
            "DATABASE_URL": migrated,
            "ACK_WAIT": "6s",
            "FLUSH_INTERVAL": "100ms",
            "LOG_FORMAT": "json",
        } | variables
        log = (tmp_path / f"writer-{len(started)}.log").open("wb")
        writer = subprocess.Popen([sys.executable, "-m", "seve_writer"], env=environ, stderr=log)
        log.close()
        started.append(writer)
        return writer

    yield start
    for writer in started:
        if writer.poll() is None:
            writer.kill()
        writer.wait(10)
