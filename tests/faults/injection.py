"""Injects the faults of the crash matrix into a pipeline."""

import asyncio
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from faults import disks
from faults.containers import ContainerPipeline
from faults.damage import flip, truncate
from faults.journal import Ends, carried
from faults.pipeline import CLOCKED, PAIRS, Pipeline
from seve_embedded.shared.disk import FULL
from seve_embedded.supervision import probes
from seve_embedded.supervision.treatment import Patient
from support import faults
from support.conditions import wait_until
from support.fleet import simulated
from support.link import Fate, Way

FROZEN = 7.0
"""Seconds, at least: above NATS' MQTT ack wait (3 s) and the writers' ACK_WAIT (5 s)."""
FILLING = 4.0
"""Seconds in which the load fills the small journal; more than it takes to stop everything in turn."""
TENDED = 35.0
"""Seconds, at most, until the watchdog has restarted what a full disk left behind."""


def now() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


class Injection(NamedTuple):
    """A fault: its parts, for how long it lasts given the option `--seconds`, and the function that injects it. That
    returns the moment of the fault (microseconds since 1970) and what it found wrong. `stack` is the kind of pipeline
    that the fault needs. A fault that is not `usual` runs only if it, or its part, is named. With `untimed` samples
    without a time come beside the others.
    """

    parts: tuple[str, ...]
    lasts: Callable[[float], float]
    do: Callable[[Pipeline, str, float], tuple[int, list[str]]]
    stack: str = "plain"
    usual: bool = True
    untimed: bool = False


def killed(stack: Pipeline, part: str, seconds: float) -> tuple[int, list[str]]:
    for one in stack.processes(part):
        stack.kill(one)
    return away(stack, part, seconds), []


def stopped(stack: Pipeline, part: str, seconds: float) -> tuple[int, list[str]]:
    codes = {one: stack.terminate(one) for one in stack.processes(part)}
    wrong = [f"{one} stopped with exit code {code}" for one, code in codes.items() if code and one in stack.services]
    return away(stack, part, seconds), wrong


def away(stack: Pipeline, part: str, seconds: float) -> int:
    at = now()
    time.sleep(seconds)
    for one in reversed(stack.processes(part)):
        stack.launch(one)
    return at


def frozen(stack: Pipeline, part: str, seconds: float) -> tuple[int, list[str]]:
    with ExitStack() as held:
        for one in stack.processes(part):
            held.enter_context(stack.frozen(one))
        at = now()
        time.sleep(seconds)
    return at, []


def midway(stack: Pipeline, part: str, seconds: float) -> tuple[int, list[str]]:
    """What the part took and the next hop never held is in no hands but the hop's before."""
    with stack.frozen("nats" if part == "ingest" else "postgres"):
        at = now()
        time.sleep(seconds)
        stack.kill(part)
    stack.launch(part)
    return at, []


def cut_off(stack: ContainerPipeline, part: str, seconds: float) -> tuple[int, list[str]]:
    with stack.cut_off(part):
        at = now()
        time.sleep(seconds)
    return at, []


def slow(stack: Pipeline, _part: str, seconds: float) -> tuple[int, list[str]]:
    at = now()
    stack.wires[1].slow_for(seconds, latency=0.1)
    return at, []


def cut(stack: Pipeline, _part: str, seconds: float) -> tuple[int, list[str]]:
    at, before = now(), stack.wires[0].proxy.accepted
    stack.wires[0].cut_for(seconds, every=0.4)
    return at, [] if stack.wires[0].proxy.accepted > before else ["nobody connected again"]


def full(stack: Pipeline, _part: str, seconds: float) -> tuple[int, list[str]]:
    """The database goes until the journal refuses, and stays away."""
    before = refusals(stack)
    stack.kill("postgres")
    wait_until(lambda: refusals(stack) > before, "the journal full", FILLING * 3)
    return away(stack, "postgres", seconds), []


def refusals(stack: Pipeline) -> float:
    return stack.metrics("ingest").get('seve_ingest_resends_total{reason="refused"}', 0)


@contextmanager
def tended(stack: Pipeline, part: str) -> Iterator[None]:
    """While the context lasts the part has what it has in a stack: a supervisor, and the watchdog's treatment."""
    over, server = threading.Event(), stack.part(part)
    patient = Patient()

    def tend() -> None:
        while not over.wait(1):
            if server.process.poll() is not None:
                with suppress(AssertionError):  # it dies again, and is started again
                    stack.launch(part)
                continue
            fault = probes.nats(stack.health) if part == "nats" else probes.postgres(stack.database_url)
            lacking = shutil.disk_usage(server.folder).free < FULL
            if patient.observe(fault, time.monotonic(), disk_full=lacking):
                faults.kill_hard(server)

    thread = threading.Thread(target=tend, name="tended")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def disk_full(stack: Pipeline, part: str, seconds: float) -> tuple[int, list[str]]:
    """Nothing more fits on the part's disk; then there is room, and nobody does anything."""
    folder = stack.part(part).folder
    ballast = folder / "ballast"
    with tended(stack, part):
        at = now()
        fill(ballast)
        time.sleep(seconds - TENDED)
        ballast.unlink()
        free = time.monotonic()
        well = probes.nats if part == "nats" else probes.postgres
        with suppress(AssertionError):
            wait_until(lambda: not well(stack.health if part == "nats" else stack.database_url), "well", TENDED)
        took = time.monotonic() - free
    return at, [] if took < 30 else [f"not well within 30 s of there being room: {took:.0f} s"]


def disk_gone(written: int) -> Callable[[Pipeline, str, float], tuple[int, list[str]]]:
    """Every read and write of the part's disk fails, and what it was not told to keep is `written` or dropped; then the
    part ends, the disk is mounted again, and the part started.
    """

    def inject(stack: Pipeline, part: str, seconds: float) -> tuple[int, list[str]]:
        disks.fail(stack.part(part).folder, written)
        at = now()
        time.sleep(seconds)
        if not stack.gone(part):
            stack.kill(part)
        disks.mend(stack, part)
        stack.launch(part)
        return at, []

    return inject


def fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        for piece in (bytes(1 << 20), b"x"):
            with suppress(OSError):
                while True:
                    file.write(piece)


def damaged(harm: Callable[[Path], None]) -> Callable[[Pipeline, str, float], tuple[int, list[str]]]:
    """Harm the journal's file while NATS is stopped, with messages in it that no writer had."""

    def do(stack: Pipeline, _part: str, seconds: float) -> tuple[int, list[str]]:
        at = now()
        writers = [one for one in stack.services if one.startswith("writer")]
        for one in (*writers, "postgres"):
            stack.kill(one)
        time.sleep(seconds)
        stack.kill("ingest")
        stack.before_harm = asyncio.run(carried(stack, Ends(0, 0)))
        stack.terminate("nats")
        harm(stack.nats.folder)
        stack.launch("nats")
        held = {one.token for one in asyncio.run(carried(stack, Ends(0, 0)))}
        stack.vanished = [one for one in stack.before_harm if one.token not in held]
        for one in ("postgres", *writers, "ingest"):
            stack.launch(one)
        return at, [] if stack.vanished else ["nothing was lost"]

    return do


def apart(way: Way) -> Callable[[Pipeline, str, float], tuple[int, list[str]]]:
    """The packets of a pair go this way for a while."""

    def do(stack: Pipeline, part: str, seconds: float) -> tuple[int, list[str]]:
        at = now()
        stack.net.ways[stack.addresses[part]] = way
        time.sleep(seconds)
        stack.net.ways[stack.addresses[part]] = Way()
        return at, []

    return do


def clock_moved(by: str) -> Callable[[Pipeline, str, float], tuple[int, list[str]]]:
    """The part's clock jumps, and back after a while."""

    def do(stack: Pipeline, part: str, seconds: float) -> tuple[int, list[str]]:
        at, file = now(), stack.clocks[part.removesuffix("-2")]
        file.write_text(by)
        time.sleep(seconds)
        file.write_text("+0")
        return at, []

    return do


def storm(stack: Pipeline, _part: str, seconds: float) -> tuple[int, list[str]]:
    """A second fleet connects at once, and each of its modules introduces itself."""
    at, folder = now(), stack.folder / f"storm-{now()}"
    folder.mkdir()
    shape = (f"--modules={STORM}", "--rate=100", f"--seconds={seconds:g}", "--report-every=60")
    with simulated(stack, folder, *shape, PATIENCE="60s") as other:
        wait_until(lambda: other.process.poll() is not None, "the account of the storm", 120)
        return at, [f"the storm's own account: {other.text[-300:]}"] if other.process.returncode else []


def starved(stack: Pipeline, part: str, seconds: float) -> tuple[int, list[str]]:
    """The part gets no more memory; if it ends of that, it is started again. NATS needs some for a second fleet."""
    at, server, over = now(), stack.part(part), threading.Event()
    before, refused, troubles = server.process.pid, threading.Event(), list[str]()

    def watch() -> None:
        while not over.wait(0.2):
            if server.process.poll() is not None:
                with suppress(AssertionError):  # it dies again, and is started again
                    stack.launch(part)
            if server.process.pid != before or not server.ready():
                refused.set()

    watcher = threading.Thread(target=watch, name="starved")
    with faults.starved(server):
        watcher.start()
        try:
            if part == "nats":
                _, troubles = storm(stack, part, seconds)
            else:
                time.sleep(seconds)
        finally:
            over.set()
            watcher.join()
    return at, troubles if refused.is_set() else [*troubles, "nothing was refused"]


STORM = 500
"""Modules that connect at once, with five messages each."""

NODES = ("leader", "follower")
PARTS = (
    *("ingest", "broadcaster", "writer", "nats", "postgres", "broker", "everything", "journal", "devices"),
    *PAIRS,
    *NODES,
)
LOST, LOSSY, FAR = Fate(loss=1.0), Fate(loss=0.3), Fate(delay=0.2)
PROCESSES = PARTS[:7]
UNTIMED = ("ingest", "writer", "nats")
FAULTS = {
    "killed": Injection(PROCESSES, lambda _: 0, killed),
    "stopped": Injection(PROCESSES, lambda _: 0, stopped),
    "away": Injection(PROCESSES, lambda seconds: seconds, killed),
    "frozen": Injection(PROCESSES, lambda seconds: max(FROZEN, seconds), frozen),
    "midway": Injection(("ingest", "writer"), lambda _: 1, midway),
    "killed-untimed": Injection(UNTIMED, lambda _: 0, killed, untimed=True),
    "frozen-untimed": Injection(UNTIMED, lambda seconds: max(FROZEN, seconds), frozen, untimed=True),
    "midway-untimed": Injection(("ingest", "writer"), lambda _: 1, midway, untimed=True),
    "cut-off": Injection(NODES, lambda seconds: max(FROZEN, seconds), cut_off, stack="cluster"),
    "cut-off-untimed": Injection(NODES, lambda seconds: max(FROZEN, seconds), cut_off, stack="cluster", untimed=True),
    "behind": Injection(("broadcaster",), lambda seconds: seconds, killed, stack="forgetful"),
    "slow": Injection(("postgres",), lambda seconds: max(4, seconds), slow, stack="wired"),
    "cut": Injection(("nats",), lambda seconds: max(4, seconds), cut, stack="wired"),
    "full": Injection(("nats",), lambda seconds: seconds, full, stack="wired"),
    "disk-full": Injection(("nats", "postgres"), lambda seconds: TENDED + seconds, disk_full, stack="small"),
    "disk-failing": Injection(
        ("nats", "postgres"), lambda seconds: max(4, seconds), disk_gone(disks.FLUSHED), stack="failing"
    ),
    "unpowered": Injection(("nats", "postgres"), lambda _: 0, disk_gone(disks.DROPPED), stack="synced"),
    "bit-flipped": Injection(("journal",), lambda seconds: seconds, damaged(flip), stack="damaged"),
    "truncated": Injection(("journal",), lambda seconds: seconds, damaged(truncate), stack="damaged"),
    "starved": Injection(("nats", "postgres"), lambda seconds: max(4, seconds), starved),
    "storm": Injection(("devices",), lambda seconds: seconds, storm),
    "parted": Injection(tuple(PAIRS), lambda seconds: max(FROZEN, seconds), apart(Way(LOST, LOST)), stack="linked"),
    "unheard": Injection(
        tuple(PAIRS), lambda seconds: max(FROZEN, seconds), apart(Way(there=LOST)), stack="linked", usual=False
    ),
    "unanswered": Injection(
        tuple(PAIRS), lambda seconds: max(FROZEN, seconds), apart(Way(back=LOST)), stack="linked", usual=False
    ),
    "lossy": Injection(
        tuple(PAIRS), lambda seconds: max(5, seconds), apart(Way(LOSSY, LOSSY)), stack="linked", usual=False
    ),
    "distant": Injection(
        tuple(PAIRS), lambda seconds: max(5, seconds), apart(Way(FAR, FAR)), stack="linked", usual=False
    ),
    "ahead": Injection(
        (*CLOCKED, "nats"), lambda seconds: max(4, seconds), clock_moved("+1d"), stack="clocked", usual=False
    ),
    "behind-time": Injection(
        (*CLOCKED, "nats"), lambda seconds: max(4, seconds), clock_moved("-5m"), stack="clocked", usual=False
    ),
}


SUFFERING = ("killed", "stopped", "away", "frozen", "killed-untimed", "frozen-untimed")
MODES = {
    "embedded": {name: fault.parts for name, fault in FAULTS.items() if fault.stack != "cluster"},
    "docker": {
        **dict.fromkeys(SUFFERING, PROCESSES[:6]),
        **dict.fromkeys(("midway", "midway-untimed"), ("ingest", "writer")),
    },
    "cluster": dict.fromkeys((*SUFFERING, "cut-off", "cut-off-untimed"), NODES),
}
"""The faults of each mode, and the parts that they are done to."""
