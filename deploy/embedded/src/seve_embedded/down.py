"""`down`: everything the stack started is stopped, whether its supervisor lives or not. Touches nothing else."""

import signal
from typing import Final

from seve_embedded import processes
from seve_embedded.plan import Program
from seve_embedded.stack import SUPERVISOR, Stack

LATE_SECONDS: Final = 10.0


def down(stack: Stack) -> list[str]:
    """Stop the stack: through its supervisor, which drains in order, then what is left. Gives what had to be killed."""
    killed: list[str] = []
    patience = sum(program.stop_seconds for program in stack.current.programs) + LATE_SECONDS
    for process in stack.running:
        if process.name == SUPERVISOR:
            killed += [SUPERVISOR] if processes.stop(process, signal.SIGTERM, patience) else []
    killed += stop_rest(stack)
    for process in processes.recorded(stack.state.pids):
        (stack.state.pids / process.name).unlink(missing_ok=True)
    return killed


def stop_rest(stack: Stack) -> list[str]:
    """Stop what runs without a supervisor: services first, servers last. Gives what had to be killed."""
    known = {program.name: program for program in stack.current.programs}
    order = sorted(stack.running, key=lambda process: -_priority(known, process))
    killed = []
    for process in order:
        program = known.get(process.name)
        number = signal.Signals[f"SIG{program.stop_signal}"] if program else signal.SIGTERM
        if processes.stop(process, number, program.stop_seconds if program else LATE_SECONDS):
            killed.append(process.name)
    return killed


def _priority(known: dict[str, Program], process: processes.Recorded) -> int:
    return known[process.name].priority if process.name in known else 100
