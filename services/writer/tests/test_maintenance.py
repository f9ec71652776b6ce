"""Old rows are deleted, and the ledger is merged without a change of its sums: on real PostgreSQL, by one writer at a
time.
"""

import asyncio

import pytest
from seve_writer.database.maintenance import NOTICE
from seve_writer.schema.layout import lay_out
from support.conditions import eventually

from .conftest import maintaining

DAYS = 86400.0


@pytest.fixture
async def maintained(migrated):
    """Maintenance every few milliseconds on the test's database, by two writers, with 90 days of retention."""
    lay_out(migrated, 90 * DAYS)
    stop = asyncio.Event()
    tasks = [asyncio.create_task(maintaining(migrated, stop)) for _ in range(2)]
    yield
    stop.set()
    await asyncio.gather(*tasks)


async def test_measurements_beyond_the_retention_are_deleted(query, maintained):
    """In several transactions; younger rows stay."""
    query(
        "INSERT INTO measurements SELECT now() - interval '90 days 1 minute' - i * interval '1 second', 'a', 'b', '', i"
        " FROM generate_series(1, 12000) i"
    )
    query("INSERT INTO measurements SELECT now() - i * interval '1 day', 'a', 'b', '', i FROM generate_series(0, 89) i")
    await eventually(lambda: query("SELECT count(*) FROM measurements") == [(90,)], "only the young ones left")


async def test_states_of_modules_that_are_gone_are_deleted(query, maintained):
    """A module is gone if all of its rows are old. A module that still sends keeps a report that it made long ago."""
    query("INSERT INTO measurements SELECT now() - interval '1 day', 'measures', 'co2', '', 1")
    for age, module in ((91, "gone"), (91, "measures"), (91, "reports"), (89, "late")):
        when = f"now() - interval '{age} days'"
        query(f"INSERT INTO device_hardware (module_id, updated_at) VALUES ('{module}', {when})")
        query(f"INSERT INTO sensor_config (module_id, sensor_type, updated_at) VALUES ('{module}', 'co2', {when})")
    query("INSERT INTO device_presence (module_id, updated_at) VALUES ('reports', now())")
    kept = [("late",), ("measures",), ("reports",)]
    for table in ("device_hardware", "sensor_config"):
        by_name = f"SELECT module_id FROM {table} ORDER BY 1"
        await eventually(lambda by_name=by_name: query(by_name) == kept, f"the gone one's row of {table} deleted")


async def test_old_lines_of_logs_are_deleted(query, maintained):
    """By their arrival, since a device's clock decides nothing. They have a retention of their own."""
    query(
        "INSERT INTO device_logs (module_id, position, time, message, updated_at)"
        " SELECT 'm', ARRAY[1, i, 0], now(), 'line', now() - interval '1 day' * i FROM generate_series(0, 12000) i"
    )
    await eventually(lambda: query("SELECT count(*) FROM device_logs") == [(30,)], "only the young ones left")


async def test_a_sensor_that_its_module_names_no_more_is_deleted(query, maintained):
    """A device that invents a name in each report keeps those of one retention."""
    query(
        "INSERT INTO sensor_status (module_id, sensor_type, updated_at)"
        " SELECT 'm', 's' || i, now() - interval '1 day' * i FROM generate_series(0, 12000) i"
    )
    await eventually(lambda: query("SELECT count(*) FROM sensor_status") == [(90,)], "only the young ones left")


async def test_past_days_of_the_ledger_are_merged_into_hours(query, maintained):
    """One row per journal and hour, with the same sequences and sums; the last day keeps its transactions."""
    for journal, hour, first in (
        ("2025-01-01", 50, 1),
        ("2025-01-01", 50, 11),
        ("2025-01-01", 49, 21),
        ("2025-02-01", 50, 1),
    ):
        for start in range(first, first + 10):
            query(
                "INSERT INTO ledger (journal, sequences, received, inserted, updated, replaced, dead, ignored,"
                " committed_at) VALUES (%s::timestamptz, int8multirange(int8range(%s, %s)), 6, 2, 1, 1, 1, 1,"
                " date_trunc('hour', now(), 'UTC') - make_interval(hours => %s) + make_interval(mins => %s))",
                journal,
                start,
                start + 1,
                hour,
                start,
            )
    query(
        "INSERT INTO ledger (journal, sequences, received, inserted, updated, replaced, dead, ignored)"
        " SELECT '2025-02-01', int8multirange(int8range(i, i + 1)), 1, 1, 0, 0, 0, 0 FROM generate_series(100, 104) i"
    )
    await eventually(lambda: query("SELECT count(*) FROM ledger") == [(3 + 5,)], "the past merged")
    assert query(
        "SELECT journal::date::text, sequences::text, received, inserted, updated, replaced, dead, ignored FROM ledger"
        " WHERE committed_at < now() - interval '1 day' ORDER BY journal, sequences"
    ) == [
        ("2025-01-01", "{[1,21)}", 120, 40, 20, 20, 20, 20),
        ("2025-01-01", "{[21,31)}", 60, 20, 10, 10, 10, 10),
        ("2025-02-01", "{[1,11)}", 60, 20, 10, 10, 10, 10),
    ]


async def test_the_hour_of_a_series_is_aggregated(query, maintained):
    """`measurements_hourly` is the same to a reader with and without TimescaleDB. Its hours stay when samples go."""
    query(
        "INSERT INTO measurements"
        " SELECT date_trunc('hour', now() - interval '91 days', 'UTC') + i * interval '20 minutes', 'a',"
        " 'co2', '', nullif(i, 1) FROM generate_series(0, 3) i"
    )
    hourly = "SELECT average, minimum, maximum, samples FROM measurements_hourly ORDER BY hour"
    await eventually(lambda: query("SELECT count(*) FROM measurements") == [(0,)], "the samples gone")
    assert query(hourly) == [(1.0, 0.0, 2.0, 2), (3.0, 3.0, 3.0, 1)]
    state = "SELECT kept_from > now() - interval '91 days', horizon > now() - interval '2 hours' FROM rollup"
    await eventually(lambda: query(state) == [(True, True)], "every hour that is over")


async def test_an_unreachable_database_only_delays_maintenance(migrated, query, capsys):
    """Maintenance logs the failure and goes on; it stops when asked."""
    lay_out(migrated, DAYS)
    query("INSERT INTO measurements VALUES (now() - interval '2 days', 'a', 'co2', '', 1)")
    query("ALTER FUNCTION merge_ledger() RENAME TO elsewhere")
    stop = asyncio.Event()
    task = asyncio.create_task(maintaining(migrated, stop, retention=DAYS, log_retention=0))
    await eventually(lambda: "42883" in capsys.readouterr().out, "the failure logged")
    assert not task.done()
    assert query("SELECT * FROM measurements") == []
    stop.set()
    await task


async def test_a_shorter_retention_deletes_nothing_before_it_was_announced(migrated, query, capsys):
    """The log names the rows that will be deleted, the earliest time, and how to keep them; the daily deletions happen
    at once.
    """
    lay_out(migrated, 90 * DAYS)
    query(
        "INSERT INTO measurements SELECT now() - i * interval '1 day', 'a', 'co2', '', i FROM generate_series(0, 89) i"
    )
    stop = asyncio.Event()
    task = asyncio.create_task(maintaining(migrated, stop, retention=30 * DAYS, log_retention=0, notice=NOTICE))
    told = ""

    def announced():
        nonlocal told
        told += capsys.readouterr().out
        return "will be deleted" in told

    await eventually(announced, "announced")
    assert all(word in told for word in ("RETENTION", "measurements", "30d", "1h", "restart the writers"))
    assert query("SELECT count(*) FROM measurements") == [(90,)]
    query("DELETE FROM measurements WHERE time < now() - interval '30 days 12 hours'")
    await eventually(lambda: query("SELECT count(*) FROM measurements") == [(30,)], "only the young ones left")
    stop.set()
    await task
