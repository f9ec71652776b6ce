"""A writer works behind a PgBouncer that pools transactions: nothing it does needs a session."""

import asyncio

import pytest
from seve_runtime.settings import Secret
from seve_writer.schema.layout import lay_out
from support.conditions import eventually
from support.pgbouncer import PgBouncer, program

from .conftest import envelope, maintaining, running, settings_for
from .test_faults import publish, through

pytestmark = pytest.mark.skipif(program() is None, reason="needs PgBouncer (Debian: apt-get install pgbouncer)")


@pytest.fixture
def pool(tmp_path, shared_postgres):
    """PgBouncer before the shared server."""
    (tmp_path / "pgbouncer").mkdir()
    pool = PgBouncer(tmp_path / "pgbouncer", shared_postgres.port)
    pool.start()
    yield pool
    pool.stop()


async def test_rows_states_conflicts_and_refused_rows_pass_the_pool(journal, nats_server, migrated, query, pool):
    """COPY, states, upserts of existing rows, and halving; by two writers on two pooled connections."""
    query("ALTER TABLE measurements ADD CONSTRAINT sane CHECK (value < 1000)")
    settings = settings_for(nats_server.url, through(migrated, pool.port))
    async with running(settings), running(settings):
        await publish(journal, 100)
        await eventually(journal.empty, "the rows")
        await publish(journal, 5)
        await journal.publish(envelope(kind="system.status", metadata={"rssi": -40}))
        await journal.publish(envelope("poisoned", at=1, value=5000), envelope("poisoned", at=2))
        await eventually(journal.empty, "the rest")
    assert query("SELECT count(*) FROM measurements") == [(1001,)]
    assert query("SELECT rssi FROM device_system_status") == [(-40,)]
    assert query("SELECT sum(inserted)::int, sum(updated)::int, sum(dead)::int FROM ledger") == [(1002, 50, 1)]


async def test_a_pool_that_is_restarted_costs_a_retry(journal, nats_server, migrated, query, pool):
    """Connections die under the writer, as in any deployment of the pool."""
    async with running(settings_for(nats_server.url, through(migrated, pool.port))):
        await publish(journal, 10)
        await eventually(journal.empty, "the first")
        pool.kill()
        await publish(journal, 10, first=10)
        pool.start()
        await eventually(journal.empty, "the second")
    assert query("SELECT count(*) FROM measurements") == [(200,)]


async def test_the_lock_of_maintenance_holds_through_the_pool(migrated, query, pool):
    """Two writers run maintenance at once through the pool: a transaction-level lock excludes one of them."""
    lay_out(migrated, 1)
    query(
        "INSERT INTO measurements SELECT now() - interval '1 day', 'a', '', i::text, i FROM generate_series(1, 12000) i"
    )
    stop = asyncio.Event()
    url = Secret(through(migrated, pool.port))
    tasks = [asyncio.create_task(maintaining(url.reveal(), stop, retention=3600, log_retention=0)) for _ in range(2)]
    await eventually(lambda: query("SELECT count(*) FROM measurements") == [(0,)], "the old rows gone")
    stop.set()
    await asyncio.gather(*tasks)
    assert query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = 0") == [(0,)]
