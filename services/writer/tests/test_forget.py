"""`seve-writer forget` against real servers: a module is gone from all tables and from LATEST, and no other is."""

import os
import subprocess
import sys

import psycopg
import pytest
from seve_schema.simulated import simulated_name
from seve_schema.subjects import forget_subject, latest_subject
from seve_writer.forget import TABLES, delete_by_day
from seve_writer.schema.layout import lay_out
from support.conditions import eventually

from .conftest import envelope

OTHER = "serre.nord *"


@pytest.fixture
def forgotten(journal):
    """The subjects on which broadcasters are told to forget a module."""
    return []


@pytest.fixture
async def filled(journal, writer, query, migrated, forgotten):
    """Two modules in every table that a device fills, and in LATEST."""
    lay_out(migrated, 0)
    bodies = {
        "system.status": {"rssi": -40},
        "hardware.config": {"chip": {"model": "ESP32"}},
        "presence": {"status": "online"},
        "log": {"msg": "started"},
        "sensors.status": {"co2": {"status": "ok"}},
        "sensors.config": {"co2": {"interval": 5}},
    }
    for module in ("croissance", OTHER):
        await journal.publish(*(envelope(module, at=at) for at in range(250)))
        for kind, body in bodies.items():
            await journal.publish(envelope(module, kind, metadata=body))
        await journal.js.publish(latest_subject(module), b"{}")
    async with writer():
        await eventually(journal.empty, "all stored")
    query("INSERT INTO measurements_hourly SELECT module_id, 'co2', '', now(), 1, 1, 1, 1 FROM device_presence")

    async def listen(message):
        forgotten.append(message.subject)

    await journal.client.subscribe("forget.*", cb=listen)
    await journal.client.flush()
    return migrated


def run(url, nats_url, *arguments):
    environ = {"PATH": os.environ["PATH"], "DATABASE_URL": url, "NATS_URL": nats_url}
    return subprocess.run(
        [sys.executable, "-m", "seve_writer", "forget", *arguments],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


async def test_a_module_is_removed_everywhere(filled, nats_server, journal, query, forgotten):
    """Only this module; the removed rows are reported by table, and broadcasters are told to forget it."""
    done = run(filled, nats_server.url, "croissance", "--yes")
    assert done.returncode == 0, done.stderr
    assert "measurements                    250 removed" in done.stdout
    for table in TABLES:
        assert query(f"SELECT DISTINCT module_id FROM {table}") == [(OTHER,)], table
    state = (await journal.js.stream_info("LATEST", subjects_filter=">")).state
    assert list(state.subjects) == [latest_subject(OTHER)]
    await eventually(lambda: forgotten == [forget_subject("croissance")], "broadcasters told")
    assert query("SELECT sum(received)::int FROM ledger") == [(512,)]


async def test_all_simulated_modules_are_removed_by_one_command(filled, nats_server, journal, query, forgotten):
    """The modules of every run, and no module with a merely similar name."""
    simulated = [simulated_name("0a1b2c", 0), simulated_name("ffffff", 1234)]
    for module in (*simulated, "sim-croissance-1"):
        query("INSERT INTO device_presence VALUES (%s, 'online', NULL, now())", module)
        query("INSERT INTO sensor_config (module_id, sensor_type, updated_at) VALUES (%s, 'co2', now())", module)
    done = run(filled, nats_server.url, "--simulated", "--yes")
    assert done.returncode == 0, done.stderr
    left = [("croissance",), (OTHER,), ("sim-croissance-1",)]
    for table in ("device_presence", "sensor_config"):
        assert sorted(query(f"SELECT module_id FROM {table}")) == sorted(left), table
    await eventually(lambda: forgotten == [forget_subject(module) for module in simulated], "broadcasters told")
    assert query("SELECT count(*) FROM measurements") == [(500,)]


async def test_samples_of_a_hypertable_are_deleted_day_by_day(filled, query):
    """One transaction per day; other modules keep theirs."""
    query("UPDATE measurements SET time = time + (extract(microseconds FROM time)::int %% 3) * interval '1 day'")
    removed = []
    async with await psycopg.AsyncConnection.connect(filled, autocommit=True) as connection:
        await delete_by_day(connection, ["croissance"], lambda *one: removed.append(one))
        await delete_by_day(connection, ["nobody"], lambda *one: removed.append(one))
    assert [rows for _, rows in removed] == [84, 167, 250]
    assert query("SELECT module_id, count(*) FROM measurements GROUP BY 1") == [(OTHER, 250)]


async def test_nothing_is_removed_without_a_confirmation(filled, nats_server, query):
    """Without a terminal no question is possible: the rows are shown and stay."""
    done = run(filled, nats_server.url, "croissance")
    assert done.returncode == 1
    assert "measurements                    250 rows" in done.stdout
    assert done.stdout.endswith("Nothing removed.\n")
    assert query("SELECT count(*) FROM measurements WHERE module_id = 'croissance'") == [(250,)]


async def test_a_server_that_is_away_is_named(filled, nats_server):
    """By its setting; the command may be run again."""
    away = run(filled, "nats://127.0.0.1:1", "croissance", "--yes")
    assert away.returncode == 1
    assert "error: NATS does not answer (NATS_URL)" in away.stderr
    away = run("postgresql://nobody@127.0.0.1:1/seve", nats_server.url, "croissance", "--yes")
    assert away.returncode == 1
    assert "error: the database does not answer (DATABASE_URL)" in away.stderr


async def test_an_unknown_module_is_no_error(filled, nats_server, query):
    """It may have been removed already."""
    assert run(filled, nats_server.url, "nobody", "--yes").returncode == 0
    with psycopg.connect(filled) as connection:
        assert connection.execute("SELECT count(*) FROM measurements").fetchone() == (500,)
