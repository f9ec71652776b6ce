"""`backup` and `restore`: the database and the journal in one file, taken while the stack runs.

The database is dumped first and the journal copied after it, without its consumer, so the journal reaches at least as
far as the dump. After a restore, writers get the journal from its first message on: messages that came between dump and
copy are stored; storing the others again changes nothing.

A restored journal has a new creation time, which is a part of every position. So the ledger and the positions in the
restored database are updated to it: sequences keep their meaning, and audits cover the restored journal.

A backup leaves out passwords, device identities, certificates and `.env`, which are secrets; the broker's messages for
ingest; and the newest values (LATEST), which are rebuilt from the journal.
"""

import asyncio
import json
import os
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import psycopg
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError
from psycopg import sql
from seve_runtime.errors import SeveError, describe
from seve_runtime.nats.connection import NatsSettings, connected_once
from seve_runtime.nats.direct import DirectClient
from seve_runtime.nats.stream_backup import CHUNK, restore, snapshot
from seve_runtime.nats.stream_info import stream_info
from seve_runtime.nats.topology import DEADLETTER, JOURNAL, LATEST
from seve_runtime.settings import load

from seve_embedded.commands import up
from seve_embedded.durable import sync
from seve_embedded.servers import postgres
from seve_embedded.stack import Stack
from seve_embedded.supervision import processes

REBASE: Final = """
DO $$
DECLARE
    found record;
BEGIN
    UPDATE ledger SET journal = {new_time} WHERE journal = {old_time};
    FOR found IN SELECT c.table_name, c.column_name FROM information_schema.columns AS c
                 JOIN information_schema.tables AS t USING (table_schema, table_name)
                 WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' AND c.udt_name = '_int8'
                   AND c.column_name LIKE '%position' LOOP
        EXECUTE format('UPDATE %1$I SET %2$I[1] = %3$s WHERE %2$I[1] = %4$s',
                       found.table_name, found.column_name, {new}, {old});
    END LOOP;
END $$
"""
"""Positions are [journal's creation, sequence, place]; times in microseconds since 1970."""

Say = Callable[[str], None]

FORMAT: Final = 1
STREAMS: Final = (JOURNAL, DEADLETTER)
DUMP: Final = "database.dump"
ABOUT: Final = "about.json"
_STOP_SECONDS: Final = 30.0
_ANSWER: Final = 5.0


class BackupError(SeveError):
    """A backup could not be taken, or a file is not a backup."""


def backup(stack: Stack, file: Path, say: Say) -> None:
    """Write a backup of the running stack to `file`, which only its owner can read. Raises BackupError and OSError."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=stack.state.run, prefix="backup-") as place:
        folder = Path(place)
        _postgres(stack, "pg_dump", "-Fc", "--no-owner", "--no-privileges", "-f", str(folder / DUMP))
        try:
            created, streams = asyncio.run(_copy_out(stack, folder))
        except (NatsError, OSError) as error:
            raise BackupError(f"the journal could not be copied: {describe(error)}") from error
        taken = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        about = {"format": FORMAT, "taken": taken, "journal": created, "streams": streams}
        (folder / ABOUT).write_text(json.dumps(about), encoding="utf-8")
        fresh = file.with_name(f"{file.name}.new")
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as out, tarfile.open(fileobj=out, mode="w") as whole:
            for path in (folder / ABOUT, folder / DUMP, *(folder / name for name in streams)):
                whole.add(path, path.name)
        sync(fresh)
        fresh.replace(file)
    last = streams[JOURNAL]["state"]["last_seq"]
    took = time.monotonic() - began
    say(f"{file}: {file.stat().st_size / (1 << 20):.1f} MiB, the journal to sequence {last}, in {took:.1f} s")


def restored(stack: Stack, file: Path, say: Say) -> None:
    """Replace the stack's data by a backup: stop the services, replace the data, start the services.

    Raises BackupError; then the servers run, the services are stopped, and the restore can be repeated.
    """
    with tempfile.TemporaryDirectory(dir=stack.state.run, prefix="restore-") as place:
        folder = Path(place)
        about = _opened(file, folder)
        _stop_services(stack)
        say("  services stopped")
        _postgres(
            stack, "pg_restore", "--clean", "--if-exists", "--no-owner", "--no-privileges", "--single-transaction",
            str(folder / DUMP),
        )  # fmt: skip
        say("  database restored")
        try:
            created = asyncio.run(_copy_in(stack, folder, about["streams"]))
            _rebase(stack, about["journal"], created)
        except (NatsError, OSError) as error:
            raise BackupError(f"the journal could not be restored: {describe(error)}") from error
        except psycopg.Error as error:
            raise BackupError(f"positions could not be brought in line: {describe(error)}") from error
        say("  journal restored")
    up.up(stack, say)  # setup, rights and the writers' consumer; then the services
    say(f"Restored what was taken at {about['taken']}. `./seve audit` tells whether it is whole.")


def _opened(file: Path, folder: Path) -> dict[str, Any]:
    try:
        with tarfile.open(file) as whole:
            whole.extractall(folder, filter="data")
        about: dict[str, Any] = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    except (tarfile.TarError, FileNotFoundError, ValueError) as error:
        raise BackupError(f"{file} is no backup: {describe(error)}") from error
    if about.get("format") != FORMAT:
        raise BackupError(f"{file} is of format {about.get('format')}, and this version reads {FORMAT}")
    return about


def _stop_services(stack: Stack) -> None:
    names = {program.name for program in stack.current.programs if not program.server}
    states = stack.supervisor.states()
    for name in names:
        if name in states and states[name].running:
            stack.supervisor.stop(name)
    if left := processes.wait_gone([one for one in stack.running if one.name in names], _STOP_SECONDS):
        raise BackupError(f"{', '.join(one.name for one in left)} did not stop; nothing was changed")


def _postgres(stack: Stack, program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs on the database, as its owner. Raises BackupError."""
    url, password = postgres.without_password(stack.current.addresses.owner)
    command = [str(postgres.binaries() / program), "-d", url, *arguments]
    environ = {**stack.client_environ, "PGPASSWORD": password}
    done = subprocess.run(command, check=False, env=environ, capture_output=True, text=True)
    if done.returncode:
        raise BackupError(f"{program} ended with code {done.returncode}: {done.stderr.strip()[:2000]}")


def _nats(stack: Stack) -> NatsSettings:
    return load(NatsSettings, stack.current.addresses.nats)


def _rebase(stack: Stack, old: int, new: int) -> None:
    """Replace the journal created at `old` by the restored one, created at `new` (µs), in all positions of the
    database.
    """
    time_of = "timestamptz 'epoch' + {} * interval '1 microsecond'"
    values = {"old": old, "new": new, "old_time": time_of.format(old), "new_time": time_of.format(new)}
    statement = sql.SQL(REBASE).format(**{name: sql.SQL(str(value)) for name, value in values.items()})
    with psycopg.connect(stack.current.addresses.owner, connect_timeout=10, autocommit=True) as connection:
        connection.execute(statement)


async def _created(client: DirectClient) -> int:
    return (await stream_info(client, JOURNAL, patience=_ANSWER)).created_at


async def _copy_out(stack: Stack, folder: Path) -> tuple[int, dict[str, Any]]:
    async with connected_once(_nats(stack), "seve backup") as client:
        found = {}
        for stream in STREAMS:
            with (folder / stream).open("wb") as out:
                found[stream] = await snapshot(client, stream, out.write)
        return await _created(client), found


async def _copy_in(stack: Stack, folder: Path, streams: dict[str, Any]) -> int:
    async with connected_once(_nats(stack), "seve restore") as client:
        js = client.jetstream()
        for stream in (*STREAMS, LATEST):
            try:
                await js.delete_stream(stream)
            except NotFoundError:  # an earlier restore has deleted it already
                continue
        for stream in STREAMS:
            await restore(client, stream, streams[stream], _chunks(folder / stream))
        return await _created(client)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
