"""Real faults of PostgreSQL and the network: nothing is lost, nothing is acknowledged early, and no fault of the
database makes a dead letter.
"""

import asyncio
import contextlib
import json
import subprocess
import urllib.error
import urllib.request

import psycopg
import pytest
from seve_writer.errors import JournalReplaced
from seve_writer.schema.migrate import migrate
from support.conditions import eventually, free_port
from support.proxy import proxied

from .conftest import envelope, running, settings_for


def through(url, port):
    """Return the URL of the same database on another port."""
    return url.replace(url.rpartition(":")[2].partition("/")[0], str(port))


async def ready(port):
    """Return the answer of `/health/ready`: (ready, reasons)."""

    def ask():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5) as answer:
                return answer.status == 200, json.load(answer)["waiting"]
        except urllib.error.HTTPError as error:
            with error:
                return False, json.load(error)["waiting"]
        except urllib.error.URLError:
            return False, {"admin": "not listening yet"}

    return await asyncio.to_thread(ask)


@pytest.fixture
def count(query):
    """Returns the number of measurements."""
    return lambda: query("SELECT count(*) FROM measurements")[0][0]


async def publish(journal, messages, per_message=10, first=0):
    """Publish so many messages; all samples have different times."""
    for number in range(first, first + messages):
        at = number * per_message * 1000
        await journal.publish(*(envelope(at=at + index * 1000, value=number) for index in range(per_message)))


async def test_a_server_shut_down_at_once_loses_nothing(journal, nats_server, postgres_server):
    """Immediate shutdown in the middle of the stream, and again: every row is there afterwards, none twice."""
    migrate(postgres_server.url)
    async with running(settings_for(nats_server.url, postgres_server.url)):
        for crash in range(2):
            await publish(journal, 50, first=50 * crash)
            postgres_server.kill()
            await publish(journal, 50, first=100 + 50 * crash)
            assert not await journal.empty()
            postgres_server.start()
        await eventually(journal.empty, "all acknowledged")
    with psycopg.connect(postgres_server.url) as connection:
        assert connection.execute("SELECT count(*) FROM measurements").fetchone() == (2000,)
        covered = "SELECT range_agg(sequences) = '{[1,200]}'::int8multirange, sum(dead)::int FROM ledger"
        assert connection.execute(covered).fetchone() == (True, 0)
    assert await journal.deadletters() == []


async def test_a_connection_cut_within_copy_repeats_the_batch(journal, nats_server, migrated, count, shared_postgres):
    """Half of the rows had crossed the wire: the whole batch is sent again, over a new connection."""
    await publish(journal, 100)
    async with proxied(shared_postgres.port) as proxy:
        proxy.cut_after(20_000)
        url = through(migrated, proxy.port)
        async with running(settings_for(nats_server.url, url, batch_size=1000, flush_interval="5s")):
            await eventually(journal.empty, "all acknowledged")
        assert proxy.accepted >= 2
    assert count() == 1000


async def test_a_commit_whose_answer_was_lost_is_repeated_as_an_upsert(
    journal, nats_server, migrated, query, count, shared_postgres
):
    """The rows are there already: they are updated, not refused, and the ledger still covers each message."""
    async with proxied(shared_postgres.port) as proxy:
        url = through(migrated, proxy.port)
        async with running(settings_for(nats_server.url, url)):
            await publish(journal, 1)
            await eventually(journal.empty, "the first acknowledged")
            proxy.mute_after(500)
            await publish(journal, 1, first=1)
            await eventually(lambda: count() == 20, "the second committed")
            proxy.cut()
            await eventually(journal.empty, "the second acknowledged")
    assert count() == 20
    assert query("SELECT inserted, updated FROM ledger ORDER BY id") == [(10, 0), (10, 0), (0, 10)]


async def test_a_connection_without_answers_is_closed_after_the_timeout(
    journal, nats_server, migrated, count, shared_postgres
):
    """No answer within DATABASE_TIMEOUT: the connection is given up and the batch repeated over another."""
    async with proxied(shared_postgres.port) as proxy:
        url = through(migrated, proxy.port)
        async with running(settings_for(nats_server.url, url, database_timeout="1s")):
            await publish(journal, 1)
            await eventually(journal.empty, "the first acknowledged")
            proxy.stall()
            await publish(journal, 1, first=1)
            await eventually(lambda: proxy.accepted >= 2, "another connection tried")
            proxy.flow()
            await eventually(journal.empty, "the second acknowledged")
    assert count() == 20


@pytest.mark.parametrize(
    ("broken", "mended", "told"),
    [
        ("REVOKE INSERT ON measurements FROM narrow", "GRANT INSERT ON measurements TO narrow", "permission denied"),
        ("ALTER TABLE measurements RENAME TO elsewhere", "ALTER TABLE elsewhere RENAME TO measurements", "not exist"),
        ("REVOKE INSERT ON ledger FROM narrow", "GRANT INSERT ON ledger TO narrow", "permission denied"),
    ],
    ids=["no permission", "no table", "no permission for the ledger"],
)
async def test_a_fault_of_the_schema_is_logged_and_nothing_is_acknowledged(
    journal, nats_server, migrated, query, count, broken, mended, told
):
    """Not ready, with the reason; nothing acknowledged, nothing in the dead letters; mended, all of it is stored."""
    with contextlib.suppress(psycopg.errors.DuplicateObject):
        query("CREATE ROLE narrow LOGIN")
    query("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO narrow")
    query(broken)
    port = free_port()
    narrow = migrated.replace("postgres@", "narrow@")
    async with running(settings_for(nats_server.url, narrow, admin_listen=f"127.0.0.1:{port}")):
        await publish(journal, 3)

        async def refused():
            return told in (await ready(port))[1].get("schema", "")

        await eventually(refused, "not ready, because of the schema")
        assert await journal.waiting() == 3
        assert await journal.deadletters() == []
        query(mended)
        await eventually(journal.empty, "all acknowledged")
    assert count() == 30


async def test_a_newer_schema_is_accepted_and_an_older_one_is_waited_for(journal, nats_server, migrated, query, count):
    """Migrations only add, so writers and schema may be replaced in any order."""
    port = free_port()
    insert = "INSERT INTO schema_migrations VALUES ('x' || %s, %s, now())"
    expected = int(query("SELECT max(split_part(migration_id, '.', 1)::int) FROM schema_migrations")[0][0])
    for ahead in (1, 2):
        query(insert, str(ahead), f"{expected + ahead:04}.later")
    async with running(settings_for(nats_server.url, migrated)):
        await publish(journal, 1)
        await eventually(journal.empty, "acknowledged on a newer version")
    query("DELETE FROM schema_migrations WHERE split_part(migration_id, '.', 1)::int >= %s", expected)
    async with running(settings_for(nats_server.url, migrated, admin_listen=f"127.0.0.1:{port}")):
        await publish(journal, 1, first=1)

        async def refused():
            return "run `seve-writer setup`" in (await ready(port))[1].get("schema", "")

        await eventually(refused, "not ready, because of the schema")
        assert await journal.waiting() == 1
        query(insert, "3", f"{expected:04}.now")
        await eventually(journal.empty, "acknowledged once it is there")
    assert count() == 20


async def test_stopping_with_the_database_away_leaves_everything_in_the_journal(journal, nats_server, postgres_server):
    """SIGTERM does not wait for a database; fetched messages are returned, and the next writer has them at once."""
    migrate(postgres_server.url)
    async with running(settings_for(nats_server.url, postgres_server.url)) as task:
        await publish(journal, 1)
        await eventually(journal.empty, "started")
        postgres_server.kill()
        await publish(journal, 3, first=1)

        async def delivered():
            return (await journal.js.consumer_info("TELEMETRY", "writer")).num_ack_pending == 3

        await eventually(delivered, "held by the writer")
    assert task.exception() is None
    assert await journal.waiting() == 3
    postgres_server.start()
    async with running(settings_for(nats_server.url, postgres_server.url)):
        await eventually(journal.empty, "stored by the next", seconds=4)


async def test_nats_killed_and_restarted_under_load_loses_nothing(journal, nats_server, migrated, query, count):
    """Fetched messages are written; unacknowledged ones are delivered again, and their rows exist already."""
    async with running(settings_for(nats_server.url, migrated, batch_size=1000, flush_interval="300ms")):
        await publish(journal, 100)
        await eventually(lambda: count() > 0, "the first rows written")
        nats_server.kill()
        await eventually(lambda: not journal.client.is_connected, "noticed")
        nats_server.start()
        await eventually(lambda: journal.client.is_connected, "connected again")
        await publish(journal, 100, first=100)
        await eventually(journal.empty, "all acknowledged", seconds=40)
    assert count() == 2000
    assert query("SELECT range_agg(sequences)::text FROM ledger") == [("{[1,201)}",)]


def tiny_file_system(command, folder):
    """Return `command` with a file system of 24 MiB mounted at `folder` for it alone; None if mounting is not
    allowed.
    """
    mount = f'mount -t tmpfs -o size=24m,mode=777 tmpfs "{folder}" && exec "$@"'
    made = ["unshare", "--mount", "sh", "-c", mount, "sh"]
    allowed = subprocess.run([*made, "true"], capture_output=True, check=False).returncode == 0
    return [*made, *command] if allowed else None


async def test_a_full_disk_is_waited_for(journal, nats_server, postgres_server, tmp_path, monkeypatch):
    """53100: the database's fault, whichever row meets it. With room again, everything is stored, without dead
    letters.
    """
    (tmp_path / "small").mkdir()
    postgres_server.stop()
    command = tiny_file_system(postgres_server.command(), tmp_path / "small")
    if command is None:
        pytest.skip("may not mount a small file system here")
    monkeypatch.setattr(postgres_server, "command", lambda: command)
    postgres_server.start()
    migrate(postgres_server.url)
    with psycopg.connect(postgres_server.url, autocommit=True) as connection:
        connection.execute(f"CREATE TABLESPACE small LOCATION '{tmp_path}/small'")
        connection.execute("ALTER TABLE measurements SET TABLESPACE small")
        connection.execute("CREATE TABLE ballast (x text STORAGE PLAIN) TABLESPACE small")
        with contextlib.suppress(psycopg.errors.DiskFull):
            while True:
                connection.execute("INSERT INTO ballast SELECT repeat('x', 7000) FROM generate_series(1, 100)")
        port = free_port()
        settings = settings_for(nats_server.url, postgres_server.url, admin_listen=f"127.0.0.1:{port}")
        async with running(settings):
            await publish(journal, 100, per_message=200)

            async def full():
                return "No space left" in (await ready(port))[1].get("database", "")

            await eventually(full, "not ready, because of the disk")
            connection.execute("TRUNCATE ballast")
            await eventually(journal.empty, "all acknowledged")
        assert connection.execute("SELECT count(*) FROM measurements").fetchone() == (20_000,)
    assert await journal.deadletters() == []


async def test_a_journal_recreated_under_a_writer_ends_it(journal, nats_server, migrated, query, count):
    """Messages of the old journal are written; nothing is acknowledged to the new one, whose sequences differ."""

    async def taken():
        return (await journal.js.consumer_info("TELEMETRY", "writer")).num_ack_pending == 3

    async def replaced():
        async with running(settings_for(nats_server.url, migrated, flush_interval="3s")) as task:
            await publish(journal, 3)
            await eventually(taken, "held by the writer")
            await journal.recreated()
            await publish(journal, 3, first=3)
            await eventually(task.done, "ended by itself")

    with pytest.raises(ExceptionGroup) as raised:
        await replaced()
    assert raised.group_contains(JournalReplaced)
    async with running(settings_for(nats_server.url, migrated)):
        await eventually(journal.empty, "the new journal's stored")
    assert count() == 60
    assert query("SELECT count(DISTINCT journal) FROM ledger") == [(2,)]
