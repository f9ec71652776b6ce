"""The command `seve-writer tap`: shows each transaction of the writers and the rows that its envelopes became.

Follows the ledger, reads the transaction's messages from the journal, and then their rows from the tables, as they are
at that moment: a later report may have changed one. Changes nothing: its session of the database is read-only.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

import psycopg
from nats.errors import Error as NatsError
from psycopg import sql
from psycopg.rows import dict_row
from seve_runtime import tap
from seve_runtime.errors import SeveError, describe
from seve_runtime.nats.connection import connected_once
from seve_runtime.nats.direct import DirectClient
from seve_runtime.nats.stream_reader import reading
from seve_runtime.nats.topology import JOURNAL

from seve_writer.database.device_state import Patch, log_line, patches
from seve_writer.decode import JournalMessage, LogLine, Report, Unit, Unreadable, read
from seve_writer.settings import AuditSettings

EVERY: Final = 0.5
"""Seconds between two looks at the ledger."""

TRANSACTIONS: Final = 20
"""Most transactions shown of one look: the newest. Earlier ones are skipped and counted."""

OUTCOMES: Final = ("inserted", "updated", "replaced", "dead", "ignored")
NEWEST: Final = "SELECT coalesce(max(id), 0) AS id FROM ledger"
LEDGER: Final = """
SELECT id, extract(epoch FROM journal) AS journal, sequences, received, inserted, updated, replaced, dead, ignored,
       to_char(committed_at AT TIME ZONE 'UTC', 'HH24:MI:SS.MS') AS at
FROM ledger WHERE id > %s AND committed_at > now() - interval '1 hour' ORDER BY id DESC LIMIT %s
"""
MEASUREMENT: Final = """
SELECT value FROM measurements
WHERE module_id = %s AND sensor_type = %s AND hardware_id = %s
  AND time = timestamptz 'epoch' + %s * interval '1 microsecond'
"""

Transaction = dict[str, Any]
Connection = psycopg.AsyncConnection[dict[str, Any]]


class NothingAnswers(SeveError):
    """NATS or the database does not answer."""


def arguments(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `tap` to a parser."""
    tap.arguments(commands.add_parser("tap", help="show what is stored, as it is stored"), ["row"])


def run(options: argparse.Namespace, settings: AuditSettings, say: Callable[[str], None]) -> None:
    """Show rows until interrupted, or as many as were asked for. Raises NothingAnswers and SettingsError."""
    try:
        asyncio.run(_run(settings, tap.Printer(options, say), frozenset(options.module)))
    except (tap.Enough, KeyboardInterrupt):
        return
    except (NatsError, OSError) as error:
        raise NothingAnswers(f"NATS does not answer (NATS_URL): {describe(error)}") from error
    except psycopg.Error as error:
        raise NothingAnswers(f"the database does not answer (DATABASE_URL): {describe(error)}") from error


async def _run(settings: AuditSettings, screen: tap.Printer, modules: frozenset[str]) -> None:
    url = settings.database_url.reveal()
    async with (
        connected_once(settings.nats, "seve-writer tap") as client,
        await psycopg.AsyncConnection.connect(
            url, autocommit=True, row_factory=dict_row, connect_timeout=5
        ) as database,
    ):
        await database.set_read_only(True)
        async for transaction in _transactions(database, screen):
            for message in await _messages(client, transaction):
                for unit in read(message):
                    module = _module(unit)
                    if (not modules or module in modules) and screen.room():
                        screen.show(await _shown(database, transaction, unit, module))


async def _transactions(database: Connection, screen: tap.Printer) -> AsyncIterator[Transaction]:
    """Yield transactions that are committed from now on, in the order of their ids."""
    after = (await _all(database, NEWEST))[0]["id"]
    while True:
        await asyncio.sleep(EVERY)
        found = (await _all(database, LEDGER, after, TRANSACTIONS + 1))[::-1]
        if len(found) > TRANSACTIONS:
            screen.missed(int(found[1]["received"]))
            found = found[1:]
        for transaction in found:
            after = transaction["id"]
            yield transaction


async def _messages(client: DirectClient, transaction: Transaction) -> list[JournalMessage]:
    """Return the messages of a transaction that the journal still holds, one chunk at most."""
    ranges = transaction["sequences"]
    async with reading(client, JOURNAL, start=ranges[0].lower) as stored:
        return [
            JournalMessage(each.subject, each.data, "", each.sequence, 1, each.stored_ns)
            for each in await stored.chunk()
            if any(each.sequence in span for span in ranges)
        ]


def _module(unit: Unit) -> str | None:
    """Return the module of an envelope; None if its kind has no table, or if it is unreadable."""
    match unit.content:
        case tuple() as row:
            return row[0]
        case Report(module_id=module) | LogLine(module_id=module):
            return module
        case _:
            return None


async def _shown(database: Connection, transaction: Transaction, unit: Unit, module: str | None) -> list[str]:
    head = f"{transaction['at']}  {unit.message.sequence}.{unit.index}  {module or unit.message.subject}"
    return [head, *[line async for line in _rows(database, transaction, unit)], _fate(transaction)]


async def _rows(database: Connection, transaction: Transaction, unit: Unit) -> AsyncIterator[str]:
    content = unit.content
    if isinstance(content, tuple):
        found = await _all(database, MEASUREMENT, *content[:4])
        shown = f"{content[1]}{f' of {content[2]}' if content[2] else ''}"
        yield f"measurements  {shown}  {_value(found) if found else 'no row: refused, or deleted since'}"
    elif isinstance(content, Unreadable):
        yield f"no row: {content.error}"
    else:
        some = False
        for patch in _patches(content, transaction, unit):
            some = True
            found = await _all(database, *_of_patch(patch))
            yield f"{patch.table}  {found[0]['row'] if found else 'no row: refused, or deleted since'}"
        if not some:
            yield "no row: its kind has no table"


def _value(found: list[dict[str, Any]]) -> str:
    value = found[0]["value"]
    return "null" if value is None else f"{value:g}"


def _patches(content: Any, transaction: Transaction, unit: Unit) -> Iterator[Patch]:
    place = (round(transaction["journal"] * 1_000_000), unit.message.sequence, unit.index)
    if isinstance(content, Report):
        yield from patches(content, place)
    elif isinstance(content, LogLine):
        yield log_line(content, place)


def _of_patch(patch: Patch) -> tuple[sql.Composed, Any, Any]:
    """Return the query for a patch's row without its position columns, and the query's parameters. The row is found by
    its module and, if the module has several rows, by its sensor or place.
    """
    module, *rest = patch.key
    second = rest[0] if rest else None
    column = "sensor_type" if isinstance(second, str) else patch.position if second else "module_id"
    statement = sql.SQL(
        "SELECT jsonb_strip_nulls(to_jsonb(t) - ARRAY['position', 'status_position', 'config_position'])::text AS row"
        " FROM {} AS t WHERE module_id = %s AND {} = %s"
    ).format(sql.Identifier(patch.table), sql.Identifier(column))
    return statement, module, list(second) if isinstance(second, tuple) else second or module


def _fate(transaction: Transaction) -> str:
    counts = ", ".join(f"{transaction[outcome]} {outcome}" for outcome in OUTCOMES if transaction[outcome])
    return f"in a transaction of {transaction['received']}: {counts}"


async def _all(database: Connection, statement: Any, *values: Any) -> list[dict[str, Any]]:
    return await (await database.execute(statement, values)).fetchall()
