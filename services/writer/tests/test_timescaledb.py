"""On TimescaleDB: the layout, and a writer on it. Needs a superuser's URL of a server that preloads the extension."""

import os
import uuid

import psycopg
import pytest
from seve_runtime.settings import load
from seve_writer.forget import forget
from seve_writer.schema.layout import lay_out
from seve_writer.schema.migrate import migrate
from seve_writer.settings import AuditSettings
from support.conditions import eventually

from .conftest import envelope, running, settings_for

URL = os.environ.get("TIMESCALEDB_URL")
pytestmark = pytest.mark.skipif(URL is None, reason="needs a server with TimescaleDB, named by TIMESCALEDB_URL")
DAYS = 86400.0


@pytest.fixture
def database():
    """A database of the test's own, migrated; gives its URL."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(URL, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = URL.rpartition("/")[0] + f"/{name}"
    migrate(url)
    yield url
    with psycopg.connect(URL, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def ask(database):
    """Asks that database; gives rows."""
    with psycopg.connect(database, autocommit=True) as connection:

        def ask(sql):
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

        yield ask


def jobs(ask):
    rows = ask("SELECT proc_name, config FROM timescaledb_information.jobs WHERE proc_name LIKE 'policy_%'")
    return {
        name: config for name, config in rows if name not in ("policy_telemetry", "policy_job_stat_history_retention")
    }


def test_the_layout_may_be_applied_again_and_follows_the_retention(database, ask):
    """Every setup applies it; only the policies that depend on a setting are recreated."""
    assert lay_out(database, 90 * DAYS) == ["timescaledb"]
    assert lay_out(database, 90 * DAYS) == ["timescaledb"]
    assert jobs(ask)["policy_retention"]["drop_after"] == "2160:00:00"
    assert jobs(ask)["policy_compression"]["compress_after"] == "7 days"
    lay_out(database, 30 * DAYS)
    assert jobs(ask)["policy_retention"]["drop_after"] == "720:00:00"
    lay_out(database, 0)
    assert set(jobs(ask)) == {"policy_compression", "policy_refresh_continuous_aggregate"}


def test_a_plain_table_becomes_a_hypertable_with_its_rows(database, ask):
    """The extension was installed later: existing rows are kept."""
    ask("CREATE VIEW measurements_hourly AS SELECT 1")
    ask("INSERT INTO measurements SELECT now() - i * interval '1 hour', 'a', 'b', '', i FROM generate_series(0, 99) i")
    lay_out(database, 90 * DAYS)
    assert ask("SELECT count(*) FROM measurements") == [(100,)]
    assert ask("SELECT count(*) > 3 FROM timescaledb_information.chunks WHERE hypertable_name = 'measurements'") == [
        (True,)
    ]
    assert ask("SELECT sum(samples)::int FROM measurements_hourly") == [(100,)]


def test_a_short_retention_is_laid_out_too(database, ask):
    """The policy of the aggregate refuses less than two hours between its offsets."""
    lay_out(database, 3600)
    assert jobs(ask)["policy_retention"]["drop_after"] == "01:00:00"


async def test_a_module_is_forgotten_in_every_chunk_and_no_other(nats_server, journal, database, ask):
    """Rows of several chunks share a ctid, and rows of a compressed chunk have none."""
    lay_out(database, 0)
    for module in ("croissance", "serre"):
        ask(
            f"INSERT INTO measurements SELECT now() - i * interval '6 hours', '{module}', 'b', '', i"
            " FROM generate_series(0, 99) i"
        )
    ask("SELECT compress_chunk(chunk) FROM show_chunks('measurements', older_than => interval '7 days') chunk")
    settings = load(AuditSettings, {"DATABASE_URL": database, "NATS_URL": nats_server.url})
    assert await forget(settings, "croissance", lambda *_: True, lambda *_: None)
    assert ask("SELECT module_id, count(*) FROM measurements GROUP BY 1") == [("serre", 100)]


async def test_late_rows_reach_compressed_chunks_beyond_the_decompression_limit(journal, nats_server, database, ask):
    """Late rows and a redelivery into compressed chunks: an upsert; 53400 is answered by lifting that limit."""
    lay_out(database, 0)
    ask(
        "INSERT INTO measurements SELECT '2025-11-30T19:00Z'::timestamptz + i * interval '1 millisecond', 'croissance',"
        " 'co2', '', i FROM generate_series(0, 4999) i"
    )
    ask("SELECT compress_chunk(chunk) FROM show_chunks('measurements') chunk")
    name = database.rpartition("/")[2]
    ask(f"ALTER DATABASE {name} SET timescaledb.max_tuples_decompressed_per_dml_transaction = 10")
    async with running(settings_for(nats_server.url, database)):
        await journal.publish(*(envelope(at=at * 1000, value=-1) for at in range(50)), envelope(at=7, value=-1))
        await eventually(journal.empty, "acknowledged")
    assert ask("SELECT count(*), count(*) FILTER (WHERE value = -1) FROM measurements") == [(5001, 51)]
    assert ask("SELECT inserted, updated, dead FROM ledger") == [(1, 50, 0)]
