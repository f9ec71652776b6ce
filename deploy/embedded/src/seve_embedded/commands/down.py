"""`down`: stops everything that the stack started, whether its supervisor runs or not. Touches nothing else."""

import signal
from typing import Final

from seve_embedded.plan import Program
from seve_embedded.stack import Stack
from seve_embedded.supervision import processes
from seve_embedded.supervision.client import NoSupervisor

LATE_SECONDS: Final = 10.0


def down(stack: Stack) -> list[str]:
    """Stop the stack: first the services, so that they drain into the servers, then the servers. Return the programs
    that had to be killed.
    """
    if stack.supervised:
        _ask_supervisor(stack)
    killed = stop_rest(stack)
    for process in processes.recorded(stack.state.pids):
        (stack.state.pids / process.name).unlink(missing_ok=True)
    stack.state.remove_socket()
    return killed


def _ask_supervisor(stack: Stack) -> None:
    """Have the supervisor stop its programs, so that it restarts none of them."""
    programs = stack.current.programs
    tiers = ([p for p in programs if not p.server], [p for p in programs if p.server])
    try:
        states = stack.supervisor.states()
        for tier in tiers:
            names = {program.name for program in tier}
            for program in tier:
                if program.name in states and states[program.name].running:
                    stack.supervisor.stop(program.name)
            patience = max(program.stop_seconds for program in tier) + LATE_SECONDS
            processes.wait_gone([process for process in stack.running if process.name in names], patience)
    except NoSupervisor:
        return  # it died meanwhile; the remaining processes are stopped without it


def stop_rest(stack: Stack) -> list[str]:
    """Stop the running processes: the supervisor, then services, then servers. Return the programs that had to be
    killed.
    """
    known = {program.name: program for program in stack.current.programs}
    order = sorted(stack.running, key=lambda process: -_priority(known, process))
    killed = []
    for process in order:
        program = known.get(process.name)
        number = signal.Signals[f"SIG{program.stop_signal}"] if program else signal.SIGTERM
        if processes.stop(process, number, program.stop_seconds if program else LATE_SECONDS):
            killed.append(process.name)
    return killed


def _priority(known: dict[str, Program], process: processes.ProcessRecord) -> int:
    return known[process.name].priority if process.name in known else 100
