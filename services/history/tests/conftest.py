"""Fixtures of the tests of history: a database with the writers' tables, rows as writers store them, and a service."""

import asyncio
import json
from contextlib import asynccontextmanager

import nats
import psycopg
import pytest
from seve_history.app import app
from seve_history.settings import HistorySettings
from seve_runtime.nats import topology
from seve_runtime.settings import load
from seve_schema.history import ERROR_CODE, ERROR_TEXT, LOGS_SUBJECT, MODULE_SUBJECT, POSITION, SERIES_SUBJECT
from seve_schema.position import SEQUENCE_BITS, Position
from seve_schema.times import format_time
from seve_writer.schema.layout import lay_out
from seve_writer.schema.migrate import migrate
from support.conditions import eventually

BASE = 1_764_529_200_000_000
"""2025-11-30T19:00:00Z."""
SECOND = 1_000_000
HOUR = 3600 * SECOND


class Refusal(Exception):
    """A query that was refused."""

    def __init__(self, status, reason):
        super().__init__(f"{status}: {reason}")
        self.status = status
        self.reason = reason


class Asker:
    """Sends queries as the broadcaster does, and stores rows as writers do."""

    def __init__(self, client, database_url):
        self.client = client
        self.js = client.jetstream()
        self.connection = psycopg.connect(database_url, autocommit=True)

    async def journal(self):
        """Return when the journal was created, in microseconds since 1970."""
        created = (await self.js.stream_info("TELEMETRY")).created
        return int(created.timestamp()) * SECOND + created.microsecond

    async def ask(self, subject, **question):
        """Send a query; return its answer and the position in its header. Raises Refusal."""
        question.setdefault("journal", await self.journal())
        answer = await self.client.request(subject, json.dumps(question).encode(), timeout=20)
        headers = answer.headers or {}
        if ERROR_CODE in headers:
            raise Refusal(int(headers[ERROR_CODE]), headers[ERROR_TEXT])
        return json.loads(answer.data), Position.parse(headers[POSITION])

    async def series(self, module="croissance", *, start=BASE, end=BASE + HOUR, points=500, **more):
        """Query samples."""
        question = {"module": module, "start": start, "end": end, "points": points, **more}
        return await self.ask(SERIES_SUBJECT, **question)

    async def module(self, module="croissance"):
        """Query the states and series of a module."""
        return await self.ask(MODULE_SUBJECT, module=module)

    async def logs(self, module="croissance", *, start=BASE, end=BASE + HOUR, most=200, **more):
        """Query lines of a log."""
        return (await self.ask(LOGS_SUBJECT, module=module, start=start, end=end, most=most, **more))[0]

    def query(self, sql, *given):
        """Run SQL; return its rows."""
        cursor = self.connection.execute(sql, given)
        return cursor.fetchall() if cursor.description else []

    def number(self, journal):
        """Return the number of a journal in the database."""
        self.query("INSERT INTO journals (created) VALUES (%s) ON CONFLICT DO NOTHING", format_time(journal))
        return self.query("SELECT number FROM journals WHERE created = %s", format_time(journal))[0][0]

    def commit(self, journal, samples):
        """Commit samples as one transaction of a writer: (sequence, sensor, microseconds after BASE, value)."""
        base = self.number(journal) << SEQUENCE_BITS
        with self.connection.transaction():
            for sequence, sensor, at, value in samples:
                self.query(
                    "INSERT INTO measurements AS t VALUES (%s, 'croissance', %s, '', %s, %s)"
                    " ON CONFLICT (module_id, sensor_type, hardware_id, time)"
                    " DO UPDATE SET value = excluded.value, position = excluded.position"
                    " WHERE t.position <= excluded.position",
                    *(format_time(BASE + at), sensor, value, base + sequence),
                )
            self.book(journal, {sequence for sequence, *_ in samples}, min((at for _, _, at, _ in samples), default=0))

    def book(self, journal, sequences, at=0):
        """Insert the ledger's row of a transaction."""
        ranges = "{" + ",".join(f"[{one},{one}]" for one in sorted(sequences)) + "}"
        self.query(
            "INSERT INTO ledger (journal, sequences, received, inserted, updated, replaced, dead, ignored, earliest)"
            " VALUES (%s, %s, %s, %s, 0, 0, 0, 0, %s)",
            *(format_time(journal), ranges, len(sequences), len(sequences), format_time(BASE + at)),
        )


@pytest.fixture
def laid_out(database_url):
    """A database with the writers' tables; gives its URL."""
    migrate(database_url)
    lay_out(database_url, 0)
    return database_url


@asynccontextmanager
async def running(nats_url, database_url, **variables):
    """Run a service in this test's event loop, and stop it as SIGTERM does."""
    environ = {"NATS_URL": nats_url, "DATABASE_URL": database_url, "SHUTDOWN_GRACE": "8s", **variables}
    stop = asyncio.Event()
    task = asyncio.create_task(app(load(HistorySettings, environ), stop))
    try:
        yield
    finally:
        stop.set()
        await task


@pytest.fixture
async def asker(nats_server, laid_out):
    """An Asker with a journal and tables."""
    client = await nats.connect(nats_server.url)
    await topology.apply(client.jetstream(), topology.TopologySettings())
    asker = Asker(client, laid_out)
    yield asker
    asker.connection.close()
    await client.close()


@pytest.fixture
async def service(nats_server, laid_out, asker):
    """A running service; gives its Asker."""
    async with running(nats_server.url, laid_out):
        await answers(asker)
        yield asker


async def answers(asker, **question):
    """Wait until a service answers. Raises Refusal."""

    async def answered():
        try:
            await asker.series(**question)
        except nats.errors.NoRespondersError:
            return False
        return True

    await eventually(answered, "an answer of the service", 20)
