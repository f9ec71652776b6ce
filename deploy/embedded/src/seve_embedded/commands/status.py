"""`status`: shows which programs run and are ready, what waits in the journal, what is stored, and the last errors.

Asks each part separately, for at most two seconds: a part that does not answer has a line of its own.
"""

import asyncio
from typing import Final

import msgspec
from nats.errors import Error as NatsError

from seve_embedded.plan import Addresses, Plan, Program
from seve_embedded.servers import mqtt_queue
from seve_embedded.shared import logfile
from seve_embedded.shared.status_report import (
    PATIENCE,
    StatusReport,
    add_stream,
    ask_servers,
    clipped,
    fault,
    note_room,
)
from seve_embedded.shared.tables import duration
from seve_embedded.stack import Stack
from seve_embedded.supervision import probes, readiness
from seve_embedded.supervision.client import NoSupervisor, ProcessState, SupervisorSilent
from seve_embedded.supervision.disk_usage import room_at

ERRORS_SHOWN: Final = 3


def gather(stack: Stack) -> StatusReport:
    """Ask every part, and return the report."""
    if not stack.running:
        return StatusReport(headline="Sève is not up. `make up` starts it.")
    plan = stack.current
    report = StatusReport(headline="Sève is up.", healthy=True)
    _ask_supervisor(stack, plan, report)
    _ask_broker(report, plan.addresses)
    ask_servers(report, plan.addresses.nats, plan.addresses.database)
    note_room(report, room_at(stack.state.data, stack.state.postgres_data))
    for program in plan.programs:
        for event in logfile.errors(stack.state.log(program.name), ERRORS_SHOWN):
            line = logfile.readable(msgspec.json.encode(event).decode())
            report.errors.append([program.name, str(event.get("timestamp", ""))[:10], clipped(line)])
    return report


def _ask_broker(report: StatusReport, where: Addresses) -> None:
    try:
        found = asyncio.run(mqtt_queue.waiting(where.broker, where.nats["NATS_CA_FILE"], PATIENCE))
    except (NatsError, OSError) as error:
        fault(report, "mqtt", error)
    else:
        add_stream(report, "mqtt", found.messages, found.size, limit=found.limit, purpose="waits for ingest")


def _ask_supervisor(stack: Stack, plan: Plan, report: StatusReport) -> None:
    states: dict[str, ProcessState] = {}
    try:
        states = stack.supervisor.states()
    except SupervisorSilent as error:
        report.headline = f"{error}. What runs goes on; what ends is not started again."
        report.healthy = False
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
        ready = _ready(plan, program)
        report.healthy = report.healthy and bool(state and state.running) and ready in ("-", "ready")
        report.programs.append([program.name, said, lasting, str(alive.get(program.name, "")), ready])


def _ready(plan: Plan, program: Program) -> str:
    """Return `ready`, or the fault in one line; a dash for a program that cannot be asked."""
    if program.admin_port:
        return str(readiness.ask(program.admin_port, PATIENCE))
    if not program.server:
        return "-"
    ill = probes.probe(plan, program)
    return clipped(ill.reason) if ill else "ready"
