"""The program that restarts parts that run but do not work, and warns when the disk fills up. `treatment` decides when.

It ends the recorded process of a part with all its children; the supervisor then restarts the part. Starts nothing
itself, and touches no process of others.
"""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

import msgspec
import psutil
import structlog
from seve_runtime import logs

from seve_embedded.plan import WATCHDOG, Plan, Program
from seve_embedded.shared.disk import Room, remaining
from seve_embedded.state import State
from seve_embedded.supervision import probes, processes
from seve_embedded.supervision.config import STATE_VARIABLE
from seve_embedded.supervision.disk_usage import room_at, size_of
from seve_embedded.supervision.treatment import START_PATIENCE, Patient

log = structlog.get_logger()

INTERVAL: Final = 3.0
"""Seconds between two rounds."""

STOP_SECONDS: Final = 3.0
"""Seconds that a part may take to stop before it is killed: a frozen one cannot stop."""

WARN_AGAIN: Final = 3600.0
"""Seconds between two warnings of the same kind."""


class Watchdog:
    """The parts of one stack under observation, over all rounds."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._patients: dict[str, Patient] = {}
        self._reasons: dict[str, str] = {}
        self._warned_at: dict[str, float] = {}

    def round(self, plan: Plan) -> None:
        """Check every running part, and restart those that need it."""
        room = room_at(self._state.data, self._state.postgres_data)
        self._warn(room, plan.stream_bytes)
        alive = {process.name: process for process in processes.alive(self._state.pids)}
        asked = [program for program in plan.programs if program.name in alive and program.name != WATCHDOG]
        with ThreadPoolExecutor(max(1, len(asked))) as pool:
            faults = list(pool.map(lambda program: probes.probe(plan, program), asked))
        for program, fault in zip(asked, faults, strict=True):
            self._tell(program.name, fault.reason if fault and fault.patience != START_PATIENCE else "")
            patient = self._patients.setdefault(program.name, Patient())
            if patient.observe(fault, time.monotonic(), disk_full=room.full):
                log.error("restarting a part that does not work", part=program.name, reason=fault and fault.reason)
                end(alive[program.name], program)

    def _tell(self, name: str, reason: str) -> None:
        """Log changes, except that a part does not listen while it starts."""
        if reason != self._reasons.get(name, ""):
            self._reasons[name] = reason
            if reason:
                log.warning("a part does not work", part=name, reason=reason)
            else:
                log.info("a part works again", part=name)

    def _warn(self, room: Room, limit: int) -> None:
        warning = room.warning(remaining(limit, size_of(self._state.nats_data)))
        kind = "full" if room.full else "low"
        if warning and time.monotonic() - self._warned_at.get(kind, -WARN_AGAIN) >= WARN_AGAIN:
            self._warned_at[kind] = time.monotonic()
            (log.error if room.full else log.warning)(warning)
        if not room.full:
            self._warned_at.pop("full", None)


def end(process: processes.ProcessRecord, program: Program) -> None:
    """Stop a part with all its children, by SIGKILL after STOP_SECONDS.

    A database with frozen children would leave them, and its shared memory, behind.
    """
    try:
        children = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return
    processes.stop(process, signal.Signals[f"SIG{program.stop_signal}"], STOP_SECONDS)
    for child in children:
        with suppress(psutil.NoSuchProcess):
            child.kill()


def main() -> None:
    """Watch until SIGTERM, which ends it at once: it has no state to save."""
    logs.configure(WATCHDOG, "info", "json")
    state = State(os.environ[STATE_VARIABLE])
    watchdog = Watchdog(state)
    while True:
        watchdog.round(msgspec.json.decode(state.plan.read_bytes(), type=Plan))
        time.sleep(INTERVAL)


if __name__ == "__main__":
    main()
