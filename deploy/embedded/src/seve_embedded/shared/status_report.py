"""Collects and renders the page of `status`. Takes only addresses, so that both modes can use it."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Final

import msgspec
import psycopg
from psycopg import sql
from seve_runtime.nats.connection import NatsSettings, connected_once
from seve_runtime.nats.topology import DEADLETTER, JOURNAL, LATEST, WRITER
from seve_runtime.settings import load

from seve_embedded.shared.disk import Room, remaining
from seve_embedded.shared.tables import size, table

PATIENCE: Final = 2
ERROR_WIDTH: Final = 110
TABLES: Final = (
    "measurements",
    "device_system_status",
    "device_hardware",
    "device_presence",
    "device_logs",
    "sensor_status",
    "sensor_config",
    "ledger",
)
Rows = list[list[str]]


class StatusReport(msgspec.Struct, kw_only=True):
    """The contents of the page; `faults` are the parts that did not answer."""

    headline: str
    programs: Rows = []
    streams: Rows = []
    growth: int = 0
    """Bytes that the streams may still take."""
    disk: str = ""
    consumer: str = ""
    dead_letters: Rows = []
    stored: Rows = []
    errors: Rows = []
    faults: Rows = []
    healthy: bool = False


def render(report: StatusReport) -> str:
    """Return the report as a page of tables."""
    parts = [
        report.headline,
        table("Programs", ["name", "state", "for", "pid", "ready"], report.programs),
        table("Streams", ["name", "messages", "size", "limit", "full", "what for"], report.streams),
        report.disk,
        report.consumer,
        table("Dead letters", ["subject", "messages"], report.dead_letters),
        table("Stored", ["table", "rows"], report.stored),
        table("Did not answer", ["part", "error"], report.faults),
        table("Last errors", ["program", "day", "what"], report.errors) or "No errors in the logs.",
    ]
    return "\n\n".join(part for part in parts if part)


def ask_servers(report: StatusReport, nats: Mapping[str, str], database: str) -> None:
    """Ask NATS, by the variables `nats`, and the database; one that does not answer becomes a fault."""
    try:
        asyncio.run(_ask_nats(report, nats))
    except Exception as error:  # any error of the client is shown as the server's answer
        fault(report, "nats", error)
    try:
        _ask_database(report, database)
    except psycopg.Error as error:
        fault(report, "postgres", error)


async def _ask_nats(report: StatusReport, nats: Mapping[str, str]) -> None:
    purposes = {
        JOURNAL: "journal, and history for screens",
        LATEST: "newest of each series",
        DEADLETTER: "could not be used",
    }
    async with AsyncExitStack() as opened:
        async with asyncio.timeout(PATIENCE):
            client = await opened.enter_async_context(connected_once(load(NatsSettings, nats), "seve status"))
        js = client.jetstream(timeout=PATIENCE)
        for name, purpose in purposes.items():
            info = await js.stream_info(name, subjects_filter=">" if name == DEADLETTER else None)
            state = info.state
            add_stream(report, name, state.messages, state.bytes, limit=info.config.max_bytes or 0, purpose=purpose)
            if name == DEADLETTER:
                report.dead_letters = [
                    [subject, f"{n:,}"] for subject, n in sorted((info.state.subjects or {}).items())
                ]
        consumer = await js.consumer_info(JOURNAL, WRITER)
        report.consumer = (
            f"Writer: {consumer.num_pending or 0:,} messages behind, {consumer.num_ack_pending or 0:,} being written, "
            f"{consumer.num_redelivered or 0:,} delivered again"
        )


def _ask_database(report: StatusReport, url: str) -> None:
    options = f"-c statement_timeout={PATIENCE}s"
    with psycopg.connect(url, connect_timeout=PATIENCE, options=options, autocommit=True) as connection:
        for name in TABLES:
            report.stored.append([name, _count(connection, name)])


def _count(connection: psycopg.Connection, name: str) -> str:
    """Return the number of rows: counted, or for a large table the planner's estimate."""
    try:
        found = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(name))).fetchone()
        return f"{found[0]:,}" if found else "0"
    except psycopg.errors.QueryCanceled:
        found = connection.execute("SELECT reltuples::bigint FROM pg_class WHERE relname = %s", [name]).fetchone()
        return f"~{found[0]:,}" if found else "-"
    except psycopg.errors.UndefinedTable:
        return "-"


def add_stream(report: StatusReport, name: str, messages: int, held: int, *, limit: int, purpose: str) -> None:
    """Add a line to the table of streams; sizes in bytes; a limit of 0 or less means none."""
    shown = [size(limit), f"{100 * held / limit:.0f} %"] if limit > 0 else ["-", "-"]
    report.streams.append([name, f"{messages:,}", size(held), *shown, purpose])
    report.growth += remaining(limit, held)


def note_room(report: StatusReport, room: Room) -> None:
    """Note the free space of the disk, once the streams are known; a full disk is a fault."""
    warning = room.warning(report.growth)
    shown = f"{size(room.free)} of {size(room.total)} free, of which the streams may take {size(report.growth)}"
    report.disk = f"Disk: {f'WARNING: {warning}' if warning else shown}"
    report.healthy = report.healthy and not room.full


def fault(report: StatusReport, part: str, error: Exception) -> None:
    """Note a part that did not answer, with the reason."""
    report.healthy = False
    report.faults.append([part, str(error).strip().partition("\n")[0] or type(error).__name__])


def clipped(line: str) -> str:
    """Return a line of a log, cut to the table's width."""
    return line if len(line) <= ERROR_WIDTH else f"{line[:ERROR_WIDTH]}…"
