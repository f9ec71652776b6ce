"""`seve-writer audit` against real servers: a whole pipeline is accounted for, whatever is lost is named, and nothing
else ever is, however busy the pipeline.
"""

import asyncio
import json
import os
import subprocess
import sys
import time

import nats
import psycopg
import pytest
from seve_runtime.nats import topology
from seve_runtime.settings import load
from seve_writer.audit.command import examine
from seve_writer.audit.report import verdict
from seve_writer.errors import JournalReplaced
from seve_writer.journal.consumer import UNNOTICED
from seve_writer.settings import AuditSettings
from support.conditions import eventually, free_port

from .conftest import STREAMS, Journal, envelope, running, settings_for
from .test_replicas import publishing

ROW = (
    "INSERT INTO ledger (journal, sequences, received, inserted, updated, replaced, dead, ignored)"
    " VALUES (%s::timestamptz, %s::int8multirange, 1, 1, 0, 0, 0, 0)"
)


@pytest.fixture
async def journal(migrated, nats_server):
    """The topology and a client, made after the tables, as `setup` makes them."""
    client = await nats.connect(nats_server.url)
    await topology.apply(client.jetstream(), STREAMS)
    yield Journal(client)
    await client.close()


@pytest.fixture
def audit(nats_server, migrated):
    """Runs the command; returns its exit code, its stdout and its stderr."""

    async def run(*arguments, **variables):
        environ = {"PATH": os.environ["PATH"], "NATS_URL": nats_server.url, "DATABASE_URL": migrated} | variables
        command = [sys.executable, "-m", "seve_writer", "audit", *arguments]
        done = await asyncio.to_thread(
            subprocess.run, command, check=False, env=environ, capture_output=True, text=True, timeout=60
        )
        return done.returncode, done.stdout, done.stderr

    return run


async def stored(journal, writer, messages, first=0):
    """Publish so many messages, and wait until each is written in a transaction of its own."""
    async with writer(batch_size=1, batch_max=1, flush_interval="10ms"):
        for number in range(first, first + messages):
            await journal.publish(envelope(at=number * 1000))
            await eventually(journal.empty, "written")


async def test_everything_written_or_waiting_is_accounted_for(journal, writer, audit):
    """Exit code 0, with the numbers of both; several envelopes in one message are one message."""
    async with writer():
        await journal.publish(envelope(at=1), envelope(at=2))
        await journal.publish(envelope(kind="system.status", metadata={"rssi": -40}))
        await journal.publish(envelope(kind="other", metadata={}))
        await journal.js.publish("telemetry.croissance.measurement", b"no envelope")
        await eventually(journal.empty, "written")
    await journal.publish(envelope(at=3))
    code, output, errors = await audit()
    assert (code, errors) == (0, "")
    assert output.splitlines()[-1] == "ACCOUNTED FOR: every message is in the database, but 1 that wait."
    assert "5  entered    sequences 1 to 5" in output
    assert "1  waiting    in the journal, the oldest for" in output
    assert "5  envelopes  3 inserted + 0 updated + 0 replaced + 1 dead + 1 ignored" in output
    assert "Dead letters of the writer in 30 days: 1 counted, 1 kept" in output


async def test_an_untouched_stack_is_accounted_for(journal, audit):
    """Nothing entered yet."""
    code, output, _ = await audit()
    assert code == 0
    assert "0  entered    nothing yet" in output


async def test_a_row_of_the_ledger_that_is_gone_is_named_by_its_sequences(journal, writer, query, audit):
    """Exit code 1, with exactly these sequences; an audit that begins behind them finds no fault."""
    await stored(journal, writer, 5)
    query("DELETE FROM ledger WHERE sequences && '{[1,1],[3,3]}'::int8multirange")
    code, output, _ = await audit()
    assert code == 1
    assert output.splitlines()[-1] == (
        "LOST: 2 messages of the journal, neither in the database nor waiting: 1, 3; the journal still holds 1, 3"
    )
    code, output, _ = await audit("--json")
    assert code == 1
    (found,) = json.loads(output)["journals"]
    assert (found["accounted"], found["waiting"], found["lost"]) == (3, 0, {"count": 2, "spans": [[1, 1], [3, 3]]})
    assert (await audit("--from", "4"))[0] == 0
    assert (await audit("--from", "3"))[0] == 1


async def test_messages_deleted_before_they_were_written_are_lost(journal, writer, audit):
    """Also between messages that still wait."""
    await stored(journal, writer, 2)
    for number in range(8):
        await journal.publish(envelope(at=number))
    for sequence in (5, 6, 9):
        await journal.js.delete_msg("TELEMETRY", sequence)
    code, output, _ = await audit()
    assert code == 1
    assert "5  waiting" in output
    assert output.splitlines()[-1].endswith("neither in the database nor waiting: 5-6, 9")


async def test_a_row_that_does_not_add_up_is_shown(journal, writer, query, audit):
    await stored(journal, writer, 1)
    query("UPDATE ledger SET inserted = 0")
    code, output, _ = await audit()
    assert code == 1
    assert "sequences {[1,2)}: received 1, outcomes 0" in output
    assert output.splitlines()[-1] == "WRONG: 1 row of the ledger whose outcomes do not add up to received"


async def test_a_message_written_twice_after_a_lost_acknowledgement_is_no_fault(journal, query, audit):
    """It waits in the journal and is in the ledger, in two rows even: it is accounted for."""
    await journal.publish(envelope())
    created = (await journal.js.stream_info("TELEMETRY")).created
    query(ROW, created, "{[1,1]}")
    query(ROW, created, "{[1,1]}")
    code, output, _ = await audit()
    assert code == 0
    assert "1  accounted  by 2 rows of the ledger; 1 delivered and written again, which is no fault" in output


async def test_unwritten_messages_of_a_recreated_journal_are_lost(journal, writer, audit):
    """Their creation times distinguish both; the new one begins at 1 again, and can be judged alone."""
    await stored(journal, writer, 2)
    await journal.publish(envelope(at=3000))
    async with writer():
        await journal.publish(envelope(at=4000))
        await eventually(journal.empty, "written")
    await journal.recreated()
    await stored(journal, writer, 3, first=10)
    code, output, _ = await audit()
    assert code == 0
    assert "Earlier journal, created" in output
    assert "4  entered    sequences 1 to 4; later ones are unknown" in output
    assert "3  entered    sequences 1 to 3\n" in output


async def test_messages_of_a_recreated_journal_are_not_counted_for_the_old_one(journal, nats_server, migrated, query):
    """Messages of the new journal that come before the writer has noticed are left to the next writer: they have other
    sequences, and a state among them is newer than any of the old journal.
    """
    status = {"kind": "system.status", "metadata": {"rssi": -40}}

    async def replaced():
        async with running(settings_for(nats_server.url, migrated)) as task:
            for number in range(3):
                await journal.publish(envelope(at=number))
            await journal.publish(envelope(**status))
            await eventually(journal.empty, "written")
            await journal.recreated()
            await journal.publish(envelope(**(status | {"metadata": {"rssi": -70}})))
            await journal.publish(envelope(at=10))
            await eventually(task.done, "ended by itself")

    with pytest.raises(ExceptionGroup) as raised:
        await replaced()
    assert raised.group_contains(JournalReplaced)
    async with running(settings_for(nats_server.url, migrated)):
        await eventually(journal.empty, "written by the next")
    audit, _, _ = await examine(load_settings(nats_server.url, migrated))
    assert audit.sound, verdict(audit)
    assert [(finding.last, finding.accounted, finding.again) for finding in audit.findings] == [(4, 4, 0), (2, 2, 0)]
    assert query("SELECT rssi FROM device_system_status") == [(-70,)]


async def test_a_journal_recreated_while_no_request_is_open_is_not_counted_for_the_old_one(
    journal, nats_server, migrated, query
):
    """The writer is full and its database is locked, so no open request tells it that the stream was deleted."""

    async def taken():
        return (await journal.js.consumer_info("TELEMETRY", "writer")).num_ack_pending == 2

    async def replaced():
        async with running(settings_for(nats_server.url, migrated, batch_size=1, batch_max=1)) as task:
            with psycopg.connect(migrated) as holding:
                holding.execute("LOCK TABLE ledger")
                for number in range(2):
                    await journal.publish(envelope(at=number))
                await eventually(taken, "the writer full")
                full = time.monotonic()
                await journal.recreated()
                for number in range(3):
                    await journal.publish(envelope(at=10 + number))
                await eventually(lambda: time.monotonic() - full > 2 * UNNOTICED, "no request open for long")
            await eventually(task.done, "ended by itself")

    with pytest.raises(ExceptionGroup) as raised:
        await replaced()
    assert raised.group_contains(JournalReplaced)
    async with running(settings_for(nats_server.url, migrated)):
        await eventually(journal.empty, "written by the next")
    audit, _, _ = await examine(load_settings(nats_server.url, migrated))
    assert audit.sound, verdict(audit)
    assert [(finding.last, finding.accounted) for finding in audit.findings] == [(2, 2), (3, 3)]


async def test_holes_in_an_earlier_journal_are_lost(journal, writer, query, audit):
    await stored(journal, writer, 2)
    made = "SELECT min(applied_at_utc) + interval '1 ms' FROM schema_migrations"
    query(ROW.replace("%s::timestamptz", f"(({made}) AT TIME ZONE 'UTC')"), "{[1,1],[4,4]}")
    code, output, _ = await audit()
    assert code == 1
    assert output.splitlines()[-1].endswith("neither in the database nor waiting: 2-3 of an earlier one")
    assert (await audit("--from", "1"))[0] == 0


async def test_messages_before_a_recreated_database_are_unknown(journal, writer, query, audit):
    """Messages acknowledged before its tables were created may be in another database: reported, and no fault."""
    await stored(journal, writer, 4)
    query("DELETE FROM ledger WHERE sequences && '{[1,2]}'::int8multirange")
    query("UPDATE schema_migrations SET applied_at_utc = now() AT TIME ZONE 'UTC'")
    code, output, _ = await audit()
    assert code == 0
    assert "2  unknown    1-2: acknowledged before these tables were created" in output


async def test_a_busy_pipeline_never_raises_a_false_alarm(journal, nats_server, migrated, process, query):
    """Audits run again and again while messages arrive, two writers store them, and one is killed and replaced."""
    stop = asyncio.Event()
    load = [asyncio.create_task(publishing(journal, stop)) for _ in range(2)]
    writers = [process(FLUSH_INTERVAL="20ms", BATCH_SIZE="20"), process()]
    settings = load_settings(nats_server.url, migrated)
    busy = audits = 0
    while audits < 120 or busy < 20:
        audit, _, _ = await examine(settings)
        assert audit.sound, verdict(audit)
        audits += 1
        busy += bool(audit.findings[-1].waiting and audit.findings[-1].accounted)
        if audits == 60:
            writers.pop().kill()
            writers.append(process())
    stop.set()
    await asyncio.gather(*load)
    await eventually(journal.empty, "all written", seconds=40)
    audit, found, _ = await examine(settings)
    assert (audit.sound, audit.findings[-1].waiting) == (True, 0)
    assert audit.findings[-1].accounted == found.last


def load_settings(nats_url, database_url):
    return load(AuditSettings, {"NATS_URL": nats_url, "DATABASE_URL": database_url})


async def test_a_journal_replaced_while_it_is_read_is_read_again(journal, nats_server, migrated, query):
    """Halves of two journals would make no sense. Here the journal is replaced while the audit waits for the ledger."""
    await journal.publish(envelope())
    with psycopg.connect(migrated) as holding:
        holding.execute("LOCK TABLE ledger")
        task = asyncio.create_task(examine(load_settings(nats_server.url, migrated)))
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'ledger'::regclass"
        await eventually(lambda: query(waits) == [(1,)], "the audit at the ledger")
        await journal.js.delete_stream("TELEMETRY")
        await topology.apply(journal.js, topology.TopologySettings())
    audit, found, _ = await task
    assert (audit.sound, found.last) == (True, 0)
    assert len(audit.findings) == 1


async def test_select_on_the_tables_is_enough_for_an_audit(journal, writer, query, audit, migrated):
    await stored(journal, writer, 1)
    query("CREATE ROLE auditor LOGIN PASSWORD 'secret'")
    query("GRANT SELECT ON ledger, schema_migrations TO auditor")
    try:
        code, output, errors = await audit(DATABASE_URL=as_user(migrated, "auditor:secret"))
        assert (code, errors) == (0, ""), output
    finally:
        query("DROP OWNED BY auditor")
        query("DROP ROLE auditor")


def as_user(url, login):
    """The same database for another user."""
    return "postgresql://" + login + "@" + url.rpartition("@")[2].removeprefix("postgresql://")


async def test_a_server_that_does_not_answer_is_named_with_its_setting(journal, audit, nats_server, migrated):
    """Exit code 1 and one line, which shows no password."""
    nowhere = f"127.0.0.1:{free_port()}"
    code, output, errors = await audit(DATABASE_URL=f"postgresql://seve:secret@{nowhere}/seve")
    assert (code, output) == (1, "")
    assert errors.startswith("error: the database does not answer (DATABASE_URL): ")
    assert "refused" in errors
    code, output, errors = await audit(NATS_URL=f"nats://seve:secret@{nowhere}")
    assert (code, output) == (1, "")
    assert errors.startswith("error: NATS does not answer (NATS_URL): ")
    assert errors.count("\n") == 1
    assert "secret" not in errors


async def test_missing_tables_and_streams_are_named(audit, nats_server, migrated, database_url, journal):
    """Without tables or streams the error names the command that creates them."""
    code, _, errors = await audit(DATABASE_URL=database_url)
    assert code == 1
    assert 'relation "schema_migrations" does not exist' in errors
    await journal.js.delete_stream("TELEMETRY")
    code, _, errors = await audit()
    assert (code, errors) == (1, "error: stream TELEMETRY: stream not found; `seve-writer setup` creates it\n")


async def test_settings_that_cannot_be_used_are_named(audit, nats_server):
    """Exit code 2; a connection string that is none is not repeated, since it may hold a password."""
    assert (await audit(DATABASE_URL=""))[0] == 2
    code, _, errors = await audit(DATABASE_URL="postgres//seve:secret@host/db")
    assert (code, errors) == (
        2,
        "setting DATABASE_URL is not of the form postgresql://user:password@host/db\n",
    )
    code, output, _ = await audit("--help")
    assert code == 0
    assert "--from SEQUENCE" in output
    assert "DATABASE_URL" in output
