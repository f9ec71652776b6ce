"""`status`: what runs and whether it is ready, what waits in the journal, what is stored, what went wrong last.

Asks every part by itself and waits for none longer than two seconds: a part that does not answer is a line of its own.
"""

import asyncio
from typing import Final

import msgspec
from nats.errors import Error as NatsError

from seve_embedded.plan import Plan
from seve_embedded.servers import mqtt_queue
from seve_embedded.shared import logfile
from seve_embedded.shared.status_report import PATIENCE, Report, ask_servers, clipped, fault, stream_row
from seve_embedded.shared.tables import duration
from seve_embedded.stack import Stack
from seve_embedded.supervision import readiness
from seve_embedded.supervision.client import NoSupervisor, ProcessState

ERRORS_SHOWN: Final = 3


def gather(stack: Stack) -> Report:
    """Ask everything."""
    if not stack.running:
        return Report(headline="Sève is not up. `make up` starts it.")
    plan = stack.current
    report = Report(headline="Sève is up.", healthy=True)
    _ask_supervisor(stack, plan, report)
    _ask_broker(report, plan.addresses.broker)
    ask_servers(report, plan.addresses.nats, plan.addresses.database)
    for program in plan.programs:
        for event in logfile.errors(stack.state.log(program.name), ERRORS_SHOWN):
            line = logfile.readable(msgspec.json.encode(event).decode())
            report.errors.append([program.name, str(event.get("timestamp", ""))[:10], clipped(line)])
    return report


def _ask_broker(report: Report, broker: str) -> None:
    try:
        found = asyncio.run(mqtt_queue.waiting(broker, PATIENCE))
    except (NatsError, OSError) as error:
        fault(report, "mqtt", error)
    else:
        report.streams.append(stream_row("mqtt", found.messages, found.size, found.limit, "waits for ingest"))


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
