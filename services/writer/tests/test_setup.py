"""`seve-writer setup` prepares NATS and the database: as a command, as users start it."""

import asyncio
import os
import subprocess
import sys

import nats
import psycopg
from seve_runtime.nats import topology
from seve_writer.schema.migrate import migrate
from support.conditions import eventually, wait_until

from .conftest import Journal, envelope, running, settings_for


def setup(nats_url, database_url, **more):
    environ = {"PATH": os.environ["PATH"], "NATS_URL": nats_url, "DATABASE_URL": database_url} | more
    return subprocess.Popen(
        [sys.executable, "-m", "seve_writer", "setup"], env=environ, stderr=subprocess.PIPE, text=True
    )


def tables(database_url):
    with psycopg.connect(database_url) as connection:
        return {name for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}


def test_two_setups_at_once_and_a_third_later_all_succeed(nats_server, database_url):
    """Every service's container may run it before every start."""
    first, second = setup(nats_server.url, database_url), setup(nats_server.url, database_url)
    assert [first.wait(60), second.wait(60)] == [0, 0], first.stderr.read() + second.stderr.read()
    third = setup(nats_server.url, database_url)
    assert third.wait(60) == 0
    assert '"names": "none"' in third.stderr.read()
    assert {"measurements", "ledger", "device_presence", "sensor_config"} <= tables(database_url)
    for process in (first, second, third):
        process.stderr.close()


def test_setup_waits_for_the_database_and_says_so(nats_server, postgres_server):
    """Services start in any order; the awaited server is named."""
    postgres_server.stop()
    process = setup(nats_server.url, postgres_server.url)
    lines = []
    wait_until(lambda: lines.append(process.stderr.readline()) or "waiting" in lines[-1], "the waiting logged")
    assert "the database" in lines[-1]
    postgres_server.start()
    assert process.wait(60) == 0
    process.stderr.close()
    assert "measurements" in tables(postgres_server.url)


def test_setup_without_its_settings_names_them(nats_server):
    """Exit code 2, and the variable on stderr."""
    process = setup(nats_server.url, "")
    assert process.wait(60) == 2
    assert "DATABASE_URL" in process.stderr.read()
    process.stderr.close()


async def test_a_writer_started_first_waits_for_topology_and_tables(nats_server, database_url, capsys):
    """Services start in any order: the missing part is named until it is there."""
    async with running(settings_for(nats_server.url, database_url)):
        await eventually(lambda: "waiting for the topology" in capsys.readouterr().out, "the topology missed")
        client = await nats.connect(nats_server.url)
        await topology.apply(client.jetstream(), topology.TopologySettings())
        await eventually(lambda: "schema_migrations" in capsys.readouterr().out, "the tables missed")
        await asyncio.to_thread(migrate, database_url)
        journal = Journal(client)
        await journal.publish(envelope())
        await eventually(journal.empty, "stored")
        await client.close()
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT value FROM measurements").fetchall() == [(450.5,)]
