"""`scale`: changes the number of writers while the stack runs. The next `up` uses `WRITERS` from `.env` again."""

import time
from collections.abc import Callable

from seve_runtime.errors import SettingsError

from seve_embedded.commands.up import NotReady
from seve_embedded.plan import WRITER_LISTENER, Plan, rescaled, writer_name
from seve_embedded.stack import Stack
from seve_embedded.supervision import ports, readiness

Say = Callable[[str], None]


def scale(stack: Stack, writers: int, say: Say) -> None:
    """Bring the running stack to that many writers, with the settings of its start; removed writers drain first.

    Raises NotReady if the stack is not up, SettingsError if a new writer's admin port is taken.
    """
    running = stack.written
    if running is None or not stack.supervised:
        raise NotReady("the stack is not up")
    had, wanted, plan = running.writers, writers, rescaled(running, writers)
    stop_seconds = {program.name: program.stop_seconds for program in running.programs}
    _check_ports(plan, had)
    stack.write_plan(plan)
    stack.supervisor.reread()
    for number in range(had, wanted, -1):
        stack.supervisor.remove(writer_name(number), stop_seconds[writer_name(number)])
        say(f"  {writer_name(number)} drained")
    for number in range(had + 1, wanted + 1):
        stack.supervisor.add(writer_name(number))
    for number in range(had + 1, wanted + 1):
        _wait_ready(stack, plan, writer_name(number))
        say(f"  {writer_name(number)} ready")


def _check_ports(plan: Plan, had: int) -> None:
    new = [listener for listener in plan.listeners if listener[0] == WRITER_LISTENER][had:]
    others = {port for setting, _, port in plan.listeners if setting != WRITER_LISTENER}
    if clash := [port for _, _, port in new if port in others]:
        raise SettingsError([f"WRITER_ADMIN_PORT: port {clash[0]} of a further writer is given by another setting"])
    ports.check(new)


def _wait_ready(stack: Stack, plan: Plan, name: str) -> None:
    program = plan.program(name)
    deadline = time.monotonic() + stack.settings.start_timeout
    while program and program.admin_port and not (answer := readiness.ask(program.admin_port)).ready:
        if time.monotonic() > deadline:
            raise NotReady(f"{name} is not ready: {answer}")
        time.sleep(0.1)
