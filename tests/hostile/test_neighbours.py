"""A neighbour on the ports of NATS and PostgreSQL, and a service whose password was stolen: each does its own work."""

import asyncio
import json
import os
import socket
import subprocess
import sys

import psycopg
import pytest
from nats.aio.client import Client
from nats.errors import TimeoutError as NatsTimeoutError
from seve_embedded.logins import PERSON, READER, WRITER, Logins
from seve_embedded.servers import postgres
from seve_writer.schema.layout import lay_out
from seve_writer.schema.migrate import migrate
from support.embedded import NatsServer

LOGINS = Logins.of(lambda name: f"{name}-password", "seve-ingest-under-test")
SERVICES = ("ingest", "writer", "broadcaster", "history", "observer")


@pytest.fixture
def nats(tmp_path, database_url):
    """NATS with the users of the stack, and its streams."""
    (tmp_path / "nats").mkdir()
    server = NatsServer(tmp_path / "nats", passwords=LOGINS.nats)
    server.start()
    try:
        environment = LOGINS.nats_environment("setup", f"127.0.0.1:{server.port}")
        command = [sys.executable, "-m", "seve_writer", "setup"]
        inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        subprocess.run(command, check=True, env={**inherited, **environment, "DATABASE_URL": database_url}, timeout=60)
        yield server
    finally:
        server.stop()


async def connected(server, user):
    """A client as one of the users."""
    client = Client()
    await client.connect(
        server.url,
        user=user,
        password=LOGINS.nats[user],
        inbox_prefix=f"_INBOX_{user}".encode(),
        allow_reconnect=False,
        error_cb=_silent,
    )
    return client


async def _silent(_error):
    """A refusal is what these tests ask for."""


def test_a_stranger_does_not_come_in(nats):
    for user, password in (("", ""), ("operator", ""), ("operator", "operator"), ("pipeline", "pipeline")):
        with socket.create_connection(("127.0.0.1", nats.port), timeout=10) as stranger:
            stranger.recv(4096)
            stranger.sendall(b"CONNECT %s\r\nPING\r\n" % json.dumps({"user": user, "pass": password}).encode())
            assert b"Authorization Violation" in stranger.recv(4096)


OWNERS_COMMANDS = (
    "$JS.API.STREAM.DELETE.TELEMETRY",
    "$JS.API.STREAM.UPDATE.TELEMETRY",
    "$JS.API.STREAM.CREATE.EVIL",
    "$JS.API.STREAM.PURGE.DEADLETTER",
    "$JS.API.CONSUMER.DELETE.TELEMETRY.writer",
    "$JS.API.CONSUMER.CREATE.TELEMETRY.writer.telemetry.>",
    "$JS.API.CONSUMER.DURABLE.CREATE.TELEMETRY.writer",
)
WRITERS_COMMANDS = ("$JS.API.STREAM.PURGE.TELEMETRY", "$JS.API.CONSUMER.MSG.NEXT.TELEMETRY.writer")
REFUSED = {
    "ingest": (*OWNERS_COMMANDS, *WRITERS_COMMANDS, "latest.m"),
    "broadcaster": (*OWNERS_COMMANDS, *WRITERS_COMMANDS, "telemetry.test.measurement"),
    "history": (*OWNERS_COMMANDS, *WRITERS_COMMANDS, "telemetry.test.measurement", "latest.m", "history.series"),
    "observer": (
        *(*OWNERS_COMMANDS, *WRITERS_COMMANDS, "telemetry.test.measurement", "latest.m", "deadletter.ingest.malformed"),
        *("$JS.API.STREAM.MSG.DELETE.DEADLETTER", "$JS.ACK.TELEMETRY.writer.1.1.1.1.0"),
    ),
    "writer": (*OWNERS_COMMANDS, "telemetry.test.measurement", "latest.m"),
}


async def test_a_service_does_nothing_that_is_another_s(nats):
    """The server answers none of it."""
    for user, subjects in REFUSED.items():
        client = await connected(nats, user)
        try:
            asked = [client.request(subject, b"{}", timeout=1) for subject in subjects]
            answers = await asyncio.gather(*asked, return_exceptions=True)
        finally:
            await client.close()
        assert [type(answer) for answer in answers] == [NatsTimeoutError] * len(subjects), (user, answers)


async def test_a_service_does_not_read_what_another_is_answered(nats):
    """What the operator asks for is in the operator's inbox, and nobody else may listen there."""
    heard = []

    async def hear(message):
        heard.append((message.subject, message.data))

    spies = [await connected(nats, user) for user in SERVICES]
    operator = await connected(nats, "operator")
    try:
        for spy in spies:
            for subject in ("_INBOX.>", "_INBOX_operator.>", "*.>", ">", "telemetry.>", "$JS.>"):
                await spy.subscribe(subject, cb=hear)
            await spy.flush()
        await operator.jetstream().publish("telemetry.test.measurement", b"secret")
        await operator.jetstream().stream_info("TELEMETRY")
        for spy in spies:
            await spy.flush()
        assert heard == []
    finally:
        for client in (*spies, operator):
            await client.close()


@pytest.fixture
def roles(postgres_server):
    """A database with its roles and tables; gives the URL of a role."""
    owner = postgres_server.url
    postgres.make_roles(owner, *(LOGINS.database[role] for role in (WRITER, PERSON, READER)))
    migrate(owner)
    lay_out(owner, 0)
    postgres.make_roles(owner, *(LOGINS.database[role] for role in (WRITER, PERSON, READER)))
    place = f"127.0.0.1:{postgres_server.port}"
    return lambda role: LOGINS.database_url(role, place)


FORBIDDEN = [
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "COPY measurements TO '/tmp/seve-measurements'",
    "SELECT pg_read_file('postgresql.conf')",
    "SELECT rolpassword FROM pg_authid",
    "ALTER SYSTEM SET fsync = off",
    "DROP TABLE measurements",
    "TRUNCATE measurements",
    "CREATE TABLE mine (i int)",
    "CREATE TEMPORARY TABLE mine (i int)",
    "UPDATE ledger SET dead = 0",
    "DELETE FROM ledger",
    "TRUNCATE ledger",
    "INSERT INTO ledger (committed_at) VALUES ('2020-01-01')",
    "ALTER FUNCTION merge_ledger() SECURITY INVOKER",
    "SELECT lo_create(0)",
    "SELECT lo_from_bytea(0, 'kept for later')",
    "DELETE FROM schema_migrations",
    "SET ROLE postgres",
    "SET SESSION AUTHORIZATION postgres",
]


@pytest.mark.parametrize("role", [WRITER, PERSON])
def test_a_role_is_no_owner(roles, role):
    """Neither the writer nor a person reaches programs, files, tables' definitions, or the ledger."""
    with psycopg.connect(roles(role), autocommit=True) as connection:
        for statement in FORBIDDEN:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
        connection.execute("INSERT INTO device_presence VALUES ('m', 'online', NULL, now())")
        connection.execute("DELETE FROM device_presence")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(roles(role).replace("/seve", "/postgres"))


def test_history_only_reads(roles):
    """Not even if it asks for a transaction that writes."""
    with psycopg.connect(roles(READER), autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        for statement in (*FORBIDDEN, "INSERT INTO device_presence VALUES ('m')", "DELETE FROM measurements"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
        assert connection.execute("SELECT count(*) FROM measurements, ledger, rollup").fetchall() == [(0,)]
        assert connection.execute("SHOW statement_timeout").fetchall() == [("1min",)]


ROW = "INSERT INTO ledger (journal, sequences, received, inserted, updated, replaced, dead, ignored)"


def test_people_do_not_add_to_the_ledger(roles):
    with psycopg.connect(roles(PERSON), autocommit=True) as connection:
        connection.execute("SELECT count(*) FROM ledger")
        for statement in (f"{ROW} VALUES (now(), '{{}}', 0, 0, 0, 0, 0, 0)", "SELECT merge_ledger()"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def test_the_writers_ledger_only_grows(roles, postgres_server):
    """Merging, all that its role may do to a row that is there, keeps what the row says."""
    rows = (
        f"{ROW} SELECT '2025-01-01', int8multirange(int8range(i, i + 1)), 1, 1, 0, 0, 0, 0 FROM generate_series(1, 9) i"
    )
    says = "SELECT range_agg(sequences)::text, sum(received)::int, sum(inserted)::int FROM ledger"
    with psycopg.connect(roles(WRITER), autocommit=True) as writer:
        writer.execute(rows)
        before = writer.execute(says).fetchall()
        with psycopg.connect(postgres_server.url, autocommit=True) as owner:
            owner.execute("UPDATE ledger SET committed_at = now() - interval '50 hours'")

        assert writer.execute("SELECT merge_ledger(), merge_ledger()").fetchall() == [(9, 0)]
        assert writer.execute(says).fetchall() == before == [("{[1,10)}", 9, 9)]
        assert writer.execute("SELECT count(*) FROM ledger").fetchall() == [(1,)]
