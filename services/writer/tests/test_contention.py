"""Other sessions and server limits really abort a writer's transaction: it is retried, its contents are stored once,
none become a dead letter, and each retry is counted by its SQLSTATE.
"""

import asyncio
from contextlib import asynccontextmanager

import psycopg
import pytest
from prometheus_client import REGISTRY
from seve_writer.schema.migrate import migrate
from support.conditions import eventually, free_port

from .conftest import envelope, running, settings_for
from .test_faults import ready

MODULES = ("a", "b", "c")


def retries(sqlstate):
    """How often a transaction was repeated because of that code, in this process."""
    labels = {"fault": "database", "sqlstate": sqlstate}
    return REGISTRY.get_sample_value("seve_writer_retries_total", labels) or 0


async def report(journal, status, at):
    """Publish the presence `status` and a sample of every module."""
    for module in MODULES:
        await journal.publish(envelope(module, "presence", metadata={"status": status}, at=at))
        await journal.publish(envelope(module, at=at))


def lock(session, module):
    """Lock the module's row, waiting for the session that holds it."""
    session.execute("SELECT FROM device_presence WHERE module_id = %s FOR UPDATE", (module,))


def waiting_for(query, pid):
    """Return the server processes that wait for a lock of process `pid`."""
    return [found for (found,) in query("SELECT pid FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))", pid)]


async def assert_all_is_stored_once(journal, query):
    """Two reports of every module; each message committed once, none dead."""
    assert query("SELECT module_id, status FROM device_presence ORDER BY 1") == [(one, "offline") for one in MODULES]
    assert query("SELECT module_id, count(*) FROM measurements GROUP BY 1 ORDER BY 1") == [(one, 2) for one in MODULES]
    assert query("SELECT sum(dead)::int, sum(received)::int FROM ledger") == [(0, 12)]
    assert query("SELECT sum(upper(part) - lower(part))::int FROM ledger, unnest(sequences) AS part") == [(12,)]
    assert await journal.deadletters() == []


@pytest.fixture
def reported(journal, query, nats_server, migrated):
    """A writer that has stored a first report; `server` has PostgreSQL settings for its sessions."""

    @asynccontextmanager
    async def start(**server):
        for name, value in server.items():
            query(f"ALTER DATABASE {migrated.rpartition('/')[2]} SET {name} = '{value}'")
        async with running(settings_for(nats_server.url, migrated, batch_size=6, flush_interval="3s")):
            await report(journal, "online", at=0)
            await eventually(journal.empty, "the first report stored")
            yield

    return start


@pytest.fixture
def session(migrated):
    """Opens sessions beside the writer's."""
    opened = []

    def connect():
        opened.append(psycopg.connect(migrated))
        return opened[-1]

    yield connect
    for one in opened:
        one.close()


async def test_a_writer_that_loses_a_deadlock_retries(journal, query, reported, session):
    """40P01: the rival holds row c and wants a; the writer holds a and then wants c. PostgreSQL aborts the writer."""
    gate, rival = session(), session()
    rival.execute("SET deadlock_timeout = '1h'")  # PostgreSQL aborts the session that detects the deadlock
    before = retries("40P01")
    async with reported(deadlock_timeout="50ms"):
        lock(gate, "b")
        lock(rival, "c")
        await report(journal, "offline", at=1000)
        await eventually(lambda: waiting_for(query, gate.info.backend_pid), "the writer holding a, at b")
        (writer,) = waiting_for(query, gate.info.backend_pid)
        wanting = asyncio.create_task(asyncio.to_thread(lock, rival, "a"))
        await eventually(lambda: waiting_for(query, writer) == [rival.info.backend_pid], "the rival at a")
        gate.rollback()
        await wanting
        await eventually(lambda: waiting_for(query, rival.info.backend_pid), "the writer back at a")
        assert retries("40P01") == before + 1
        rival.rollback()
        await eventually(journal.empty, "acknowledged")
    await assert_all_is_stored_once(journal, query)


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
async def test_a_transaction_that_cannot_be_serialised_is_retried(journal, query, reported, session, isolation):
    """40001: under a stricter default isolation level, a row that was changed meanwhile aborts the transaction."""
    rival = session()
    before = retries("40001")
    async with reported(default_transaction_isolation=isolation):
        rival.execute("UPDATE device_presence SET updated_at = now() WHERE module_id = 'b'")
        await report(journal, "offline", at=1000)
        await eventually(lambda: waiting_for(query, rival.info.backend_pid), "the writer at b")
        rival.commit()
        await eventually(journal.empty, "acknowledged")
        assert retries("40001") == before + 1
    await assert_all_is_stored_once(journal, query)


@pytest.mark.parametrize(("ending", "sqlstate"), [("pg_cancel_backend", "57014"), ("pg_terminate_backend", "57P01")])
async def test_a_statement_or_session_ended_by_an_operator_loses_nothing(
    journal, query, reported, session, ending, sqlstate
):
    """In the middle of a transaction: over the same connection, or a new one."""
    rival = session()
    before = retries(sqlstate)
    async with reported():
        lock(rival, "b")
        await report(journal, "offline", at=1000)
        await eventually(lambda: waiting_for(query, rival.info.backend_pid), "the writer at b")
        (writer,) = waiting_for(query, rival.info.backend_pid)
        query(f"SELECT {ending}(%s)", writer)
        await eventually(lambda: retries(sqlstate) == before + 1, "the transaction ended")
        rival.rollback()
        await eventually(journal.empty, "acknowledged")
    await assert_all_is_stored_once(journal, query)


@pytest.mark.parametrize(
    ("limit", "sqlstate"),
    [("lock_timeout", "55P03"), ("statement_timeout", "57014"), ("transaction_timeout", "25P04"), (None, "none")],
    ids=lambda value: value or "DATABASE_TIMEOUT",
)
async def test_a_locked_table_is_waited_for(journal, nats_server, migrated, query, session, limit, sqlstate):
    """Whether a timeout of the server or of the writer expires first, the batch is retried until the lock is gone."""
    locking = session()
    if limit:
        query(f"ALTER DATABASE {migrated.rpartition('/')[2]} SET {limit} = '100ms'")
    port = free_port()
    before = retries(sqlstate)
    settings = settings_for(
        nats_server.url, migrated, admin_listen=f"127.0.0.1:{port}", database_timeout="30s" if limit else "500ms"
    )
    async with running(settings):

        async def started():
            return (await ready(port))[0]

        await eventually(started, "started")
        locking.execute("LOCK TABLE measurements")
        await journal.publish(*(envelope(at=at) for at in range(10)))

        async def waiting():
            return "database" in (await ready(port))[1]

        await eventually(waiting, "not ready, because of the database")
        assert not await journal.empty()
        locking.rollback()
        await eventually(journal.empty, "acknowledged")
        assert await ready(port) == (True, {})
    assert retries(sqlstate) > before
    assert query("SELECT count(*) FROM measurements") == [(10,)]
    assert await journal.deadletters() == []


async def test_a_server_in_recovery_is_waited_for_until_it_is_promoted(journal, nats_server, postgres_server):
    """25006: the former primary returns as a standby, which is read-only; nothing is lost."""
    migrate(postgres_server.url)
    before = retries("25006")
    async with running(settings_for(nats_server.url, postgres_server.url)):
        await journal.publish(envelope(at=0))
        await eventually(journal.empty, "started")
        postgres_server.stop()
        (postgres_server.folder / "data" / "standby.signal").touch()
        postgres_server.start()
        await journal.publish(envelope(at=1))
        await eventually(lambda: retries("25006") > before + 1, "refused, and again")
        assert await journal.waiting() == 1
        with psycopg.connect(postgres_server.url, autocommit=True) as operator:
            assert operator.execute("SELECT pg_promote()").fetchone() == (True,)
        await eventually(journal.empty, "stored once it is promoted")
        with psycopg.connect(postgres_server.url) as reader:
            assert reader.execute("SELECT count(*) FROM measurements").fetchone() == (2,)
            assert reader.execute("SELECT sum(inserted)::int, sum(dead)::int FROM ledger").fetchone() == (2, 0)
    assert await journal.deadletters() == []
