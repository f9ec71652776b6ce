"""The database's clock jumps, and nothing that is stored changes.

A test must not set the machine's clock. Here `now()` is a function of the test, which the search path finds before
PostgreSQL's: the writer's statements and the ledger's default use it. PostgreSQL and TimescaleDB themselves still read
the machine's clock.
"""

import asyncio

import pytest
from seve_writer.schema.layout import lay_out
from support.conditions import eventually

from .conftest import envelope, maintaining, running, settings_for

DAYS = 86400.0


@pytest.fixture
def step(query, migrated):
    """Sets the database's clock ahead of the machine's by that many days, for sessions of every age."""
    query("CREATE SCHEMA clock CREATE TABLE ahead (days int NOT NULL)")
    query("INSERT INTO clock.ahead VALUES (0)")
    query(
        "CREATE FUNCTION clock.now() RETURNS timestamptz STABLE LANGUAGE sql"
        " RETURN (SELECT pg_catalog.now() + make_interval(days => days) FROM clock.ahead)"
    )
    query(f"ALTER DATABASE {migrated.rpartition('/')[2]} SET search_path = clock, pg_catalog, public")
    query("ALTER TABLE ledger ALTER committed_at SET DEFAULT clock.now()")
    query("ALTER FUNCTION merge_ledger() SET search_path = clock, pg_catalog, public, pg_temp")
    return lambda days: query("UPDATE clock.ahead SET days = %s", days)


async def test_states_rows_and_ledger_depend_on_no_clock(journal, nats_server, migrated, query, step):
    """The clock goes back by a year, ahead by a month, and right again, while the ledger is merged: the newest report
    stays, and every message is accounted for once.
    """
    steps = [0, -365, 30, -1, 0]
    async with running(settings_for(nats_server.url, migrated, maintenance_interval="20ms")):
        for number, days in enumerate(steps):
            step(days)
            for turn in range(2):
                at = (10 * number + turn) * 1000
                await journal.publish(envelope(at=at))
                await journal.publish(envelope(kind="system.status", metadata={"rssi": -number}, at=at))
                await eventually(journal.empty, "stored")
            assert query("SELECT rssi FROM device_system_status") == [(-number,)]

        def merged():
            past = "SELECT count(*) FROM ledger WHERE committed_at < now() - interval '1 day'"
            return {1} == {count for (count,) in query(f"{past} GROUP BY date_trunc('hour', committed_at)")}

        await eventually(merged, "past days merged")
    assert query("SELECT count(DISTINCT committed_at::date) > 2 FROM ledger") == [(True,)]
    assert query("SELECT count(*) FROM measurements") == [(10,)]
    assert query("SELECT sum(received)::int, sum(inserted)::int, sum(updated)::int FROM ledger") == [(20, 11, 9)]
    assert query("SELECT range_agg(sequences)::text FROM ledger") == [("{[1,21)}",)]
    assert query("SELECT sum(upper(part) - lower(part))::int FROM ledger, unnest(sequences) AS part") == [(20,)]


@pytest.mark.parametrize(("ahead", "oldest_left"), [(200, 89), (-40, 129), (0, 89)])
async def test_a_row_is_old_only_if_both_clocks_agree(query, migrated, step, ahead, oldest_left):
    """A database whose clock is ahead deletes nothing early; one whose clock is behind keeps old rows until it is right
    again.
    """
    lay_out(migrated, 90 * DAYS)
    query(
        "INSERT INTO measurements SELECT pg_catalog.now() - make_interval(days => i, mins => 1), 'a', 'b', '', i"
        " FROM generate_series(0, 300) i"
    )
    step(ahead)
    stop = asyncio.Event()
    task = asyncio.create_task(maintaining(migrated, stop))
    await eventually(lambda: query("SELECT max(value) FROM measurements") == [(oldest_left,)], "the old ones gone")
    stop.set()
    await task
    assert query("SELECT count(*) FROM measurements") == [(oldest_left + 1,)]
