"""`status`: what runs and whether it is ready, what waits in the journal, what is stored, what went wrong last.

Asks every part by itself and waits for none longer than two seconds: a part that does not answer is a line of its own.
"""

import asyncio
from typing import Final

import msgspec
import psycopg
from nats.aio.client import Client
from psycopg import sql
from seve_runtime.topology import DEADLETTER, HISTORY, JOURNAL, LATEST, WRITER

from seve_embedded import logfile, readiness
from seve_embedded.plan import Plan
from seve_embedded.stack import Stack
from seve_embedded.supervisor import NoSupervisor, ProcessState
from seve_embedded.table import duration, size, table

PATIENCE: Final = 2
TABLES: Final = (
    "measurements",
    "device_system_status",
    "device_hardware",
    "device_presence",
    "sensor_status",
    "sensor_config",
    "ledger",
)
ERRORS_SHOWN: Final = 3
ERROR_WIDTH: Final = 110
Rows = list[list[str]]


class Report(msgspec.Struct, kw_only=True):
    """What was found; `faults` are the parts that did not answer."""

    headline: str
    programs: Rows = []
    streams: Rows = []
    consumer: str = ""
    dead_letters: Rows = []
    stored: Rows = []
    errors: Rows = []
    faults: Rows = []
    healthy: bool = False


def gather(stack: Stack) -> Report:
    """Ask everything."""
    if not stack.running:
        return Report(headline="Sève is not up. `make up` starts it.")
    plan = stack.current
    report = Report(headline="Sève is up.", healthy=True)
    _ask_supervisor(stack, plan, report)
    try:
        asyncio.run(_ask_nats(plan.addresses.nats, report))
    except Exception as error:  # whatever the client raises is the answer; it is shown
        _fault(report, "nats", error)
    try:
        _ask_database(plan.addresses.database, report)
    except psycopg.Error as error:
        _fault(report, "postgres", error)
    for program in plan.programs:
        for event in logfile.errors(stack.state.log(program.name), ERRORS_SHOWN):
            line = logfile.readable(msgspec.json.encode(event).decode())
            report.errors.append([program.name, str(event.get("timestamp", ""))[:10], _clipped(line)])
    return report


def render(report: Report) -> str:
    """The report as a page of tables."""
    parts = [
        report.headline,
        table("Programs", ["name", "state", "for", "pid", "ready"], report.programs),
        table("Streams", ["name", "messages", "size", "limit", "full", "what for"], report.streams),
        report.consumer,
        table("Dead letters", ["subject", "messages"], report.dead_letters),
        table("Stored", ["table", "rows"], report.stored),
        table("Did not answer", ["part", "error"], report.faults),
        table("Last errors", ["program", "day", "what"], report.errors) or "No errors in the logs.",
    ]
    return "\n\n".join(part for part in parts if part)


def _ask_supervisor(stack: Stack, plan: Plan, report: Report) -> None:
    states: dict[str, ProcessState] = {}
    try:
        states = stack.supervisor.states()
    except NoSupervisor:
        report.headline = (
            "The supervisor is gone: what still runs is not restarted. `make up` starts anew, `make down` stops it."
        )
        report.healthy = False
    alive = {process.name: process.pid for process in stack.running}
    for program in plan.programs:
        state = states.get(program.name)
        said = state.statename.lower() if state else ("unsupervised" if program.name in alive else "gone")
        lasting = duration(state.now - state.start) if state and state.running else ""
        ready = str(readiness.ask(program.admin_port, PATIENCE)) if program.admin_port else "-"
        report.healthy = report.healthy and bool(state and state.running) and ready in ("-", "ready")
        report.programs.append([program.name, said, lasting, str(alive.get(program.name, "")), ready])


async def _ask_nats(url: str, report: Report) -> None:
    purposes = {
        JOURNAL: "waits for the writer",
        HISTORY: "replay for screens",
        LATEST: "newest of each series",
        DEADLETTER: "could not be used",
    }
    client = Client()
    await asyncio.wait_for(client.connect(url, allow_reconnect=False, connect_timeout=PATIENCE), PATIENCE)
    try:
        js = client.jetstream(timeout=PATIENCE)
        for name, purpose in purposes.items():
            info = await js.stream_info(name, subjects_filter=">" if name == DEADLETTER else None)
            limit = info.config.max_bytes or 0
            full = f"{100 * info.state.bytes / limit:.0f} %" if limit > 0 else "-"
            report.streams.append(
                [name, f"{info.state.messages:,}", size(info.state.bytes), size(limit), full, purpose]
            )
            if name == DEADLETTER:
                report.dead_letters = [
                    [subject, f"{n:,}"] for subject, n in sorted((info.state.subjects or {}).items())
                ]
        consumer = await js.consumer_info(JOURNAL, WRITER)
        report.consumer = (
            f"Writer: {consumer.num_pending or 0:,} messages behind, {consumer.num_ack_pending or 0:,} being written, "
            f"{consumer.num_redelivered or 0:,} delivered again"
        )
    finally:
        await client.close()


def _ask_database(url: str, report: Report) -> None:
    options = f"-c statement_timeout={PATIENCE}s"
    with psycopg.connect(url, connect_timeout=PATIENCE, options=options, autocommit=True) as connection:
        for name in TABLES:
            report.stored.append([name, _count(connection, name)])


def _count(connection: psycopg.Connection, name: str) -> str:
    """How many rows: counted, or, of a table too large for that, as the planner estimates."""
    try:
        found = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(name))).fetchone()
        return f"{found[0]:,}" if found else "0"
    except psycopg.errors.QueryCanceled:
        found = connection.execute("SELECT reltuples::bigint FROM pg_class WHERE relname = %s", [name]).fetchone()
        return f"~{found[0]:,}" if found else "-"
    except psycopg.errors.UndefinedTable:
        return "-"


def _fault(report: Report, part: str, error: Exception) -> None:
    report.healthy = False
    report.faults.append([part, str(error).strip().partition("\n")[0] or type(error).__name__])


def _clipped(line: str) -> str:
    return line if len(line) <= ERROR_WIDTH else f"{line[:ERROR_WIDTH]}…"
