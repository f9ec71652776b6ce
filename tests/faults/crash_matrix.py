"""The crash matrix: every part of a pipeline, every fault, and the account of what each cost.

    make faults        or        .venv/bin/python tests/faults/crash_matrix.py [--parts writer nats] [--faults killed]
    make faults MODE=docker        containers: Compose with Mosquitto
    make faults MODE=cluster       containers: one of three NATS servers suffers, the journal's leader or a follower

It starts a pipeline of its own (two writers, PostgreSQL with fsync, NATS' own broker or Mosquitto), lets a simulated
fleet publish at QoS 1 while a part suffers, and asks the fleet, the journal, the table and the ledger what became of
each sample. What is killed are processes that it started, by pid, or containers of a project of its own.

    killed         SIGKILL to the part and all its children; started again at once
    stopped        SIGTERM, its end awaited; started again at once
    away           killed, and started again after --seconds
    frozen         SIGSTOP for longer than its neighbours' patience (7 s), then SIGCONT
    midway         killed while the part that it hands its messages to is frozen
    killed-untimed, frozen-untimed, midway-untimed
                   as these, while samples without a time come too, at QoS 1: each is to be one row
    cut-off, cut-off-untimed
                   the part's container taken from its network for 7 s
    behind         away, while the journal keeps 64 KiB of history: screens must be told what they missed
    slow           every byte from and to the database takes 0.1 s longer, for 4 s
    cut            every connection to NATS broken every 0.4 s, for 4 s
    full           the database away until the journal, a small one, is full, and for --seconds then
    disk-full      nothing more fits on the part's disk for --seconds; then there is room, and the watchdog acts
    disk-failing   every read and write of the part's disk is an error, for 4 s; then it is mounted again
    unpowered      killed, and what no fsync had put on the part's disk is gone; NATS syncs always, as in containers
    bit-flipped    one bit of the journal's file turned, or
    truncated      its end cut off, while it holds what no writer had: the audit must name exactly what is gone
    starved        the part gets no more memory than it has, for 4 s; for NATS a storm comes meanwhile
    storm          500 further modules connect at once and introduce themselves
    parted         no packet passes between the pair for 7 s
    unheard        nor from whoever connects to the other, or
    unanswered     only not back
    lossy          30 % of the packets of the pair are lost, each way, for 5 s
    distant        every packet takes 0.2 s longer, each way, for 5 s
    ahead          the part's clock a day ahead, or
    behind-time    five minutes behind, for 4 s

    sent, stored   samples (with the device's time, but for `untimed`), and those of them that are a row
    twice          rows beyond one a sample, and the broker's deliveries that are in the journal more than once
    lost           samples without a row
    seen, gaps     samples with a time that came on a WebSocket, and gap frames; what did not come must lie in a gap
    first row      from the part's end (or freezing) to the first row of a sample sent after it
    slowest        the longest that any sample took to its row

Without --parts and --faults the rows from `unheard` on are left out. What this machine does not allow is a row that
says why. JSON, Markdown and a plot of all rows are written to --results. The exit code is 1 if anything was lost, came
twice, was kept from the screen undeclared, or lacks in the ledger.
"""

import argparse
import asyncio
import itertools
import random
import secrets
import signal
import sys
import tempfile
import time
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path

import msgspec

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "deploy/docker/src")]

from faults import isolation, report
from faults.injection import FAULTS, FILLING, MODES, PARTS
from faults.journal import carried, ends, heard
from faults.pipeline import KINDS, Pipeline, pipeline
from faults.untimed import untimed
from faults.verdict import Cell, NotRun, Row, Untimed, table, times
from seve_fleet.simulate.result import Outcome
from support.conditions import wait_until
from support.fleet import simulated
from support.ledger import audit, commits
from support.mosquitto import program

LEAD, TAIL = 2.5, 1.5
"""Seconds of load before a fault, at most, and after it, at least."""


def run_cell(stack: Pipeline, part: str, fault: str, options: argparse.Namespace, dice: random.Random) -> Cell:
    """The fault under load, and what became of everything."""
    injection, file = FAULTS[fault], Path(tempfile.mkdtemp(dir=stack.folder)) / "account.json"
    before, lacking = asyncio.run(ends(stack)), unaccounted(stack)
    victim = stack.victim(part, dice)
    stack.before_harm, stack.vanished, named = [], [], audit(stack).findings[-1].lost
    lasts = injection.lasts(options.seconds)
    load = LEAD + lasts + TAIL + stack.slack + (FILLING if fault == "full" or part == "everything" else 0)
    shape = ("--modules=20", f"--rate={options.rate:g}", f"--seconds={load:g}", "--report-every=2")
    with (
        heard(stack) if injection.stack == "forgetful" else nullcontext() as live,
        untimed(stack, load) if injection.untimed else nullcontext() as numbered,
        simulated(stack, file.parent, *shape, f"--account={file}", PATIENCE="30s") as run,
    ):
        run.wait_until_at_work()
        time.sleep(dice.uniform(0, LEAD - 2))
        at, troubles = injection.do(stack, victim, lasts)
        wait_until(lambda: run.process.poll() is not None, "the end of the run", load + 60)
        assert file.exists(), run.text
    troubles += [f"{one} ended by itself" for one in stack.services if stack.gone(one)]
    stack.wait_ready()
    settle(stack, lacking)
    told = asyncio.run(carried(stack, before)) if live is None else live
    told = [
        *(one for one in stack.before_harm if one.token.position.sequence > before.journal and one not in told),
        *told,
    ]
    stored = commits(stack)
    first, longest = times(told, stored, at)
    gone = [one for one in stack.vanished if one.token.position.sequence not in stored]
    return Cell(
        part,
        fault,
        msgspec.json.decode(file.read_bytes(), type=Outcome),
        told,
        # below 0: what waited before the cell was stored meanwhile
        unaccounted=max(0, unaccounted(stack) - lacking - len({one.token.position.sequence for one in gone})),
        dead_letters=asyncio.run(ends(stack)).dead_letters - before.dead_letters,
        troubles=troubles,
        first=first,
        longest=longest,
        broker_may_lose=part == "broker" and fault in ("killed", "killed-untimed", "away"),
        gone=gone,
        named=sequences(audit(stack).findings[-1].lost) - sequences(named),
        untimed=numbered.account(at if fault == "killed-untimed" and part == "nats" else None)
        if numbered
        else Untimed(),
    )


def sequences(spans) -> frozenset[int]:
    return frozenset(sequence for start, end in spans for sequence in range(start, end + 1))


def unaccounted(stack: Pipeline) -> int:
    """Journal messages that are lost or wait still, and rows of the ledger that do not add up."""
    found = audit(stack)
    return found.lost + found.findings[-1].waiting + found.unbalanced_rows


def settle(stack: Pipeline, lacking: int) -> None:
    """Until the ledger has everything, as far as it ever will."""
    with suppress(AssertionError):  # the cell says what it lacks
        wait_until(lambda: unaccounted(stack) <= lacking, "the ledger complete", 20)


def plan(options: argparse.Namespace) -> list[tuple[str, str]]:
    """The cells, those that need a pipeline of another kind last."""
    mosquitto = options.mode != "embedded" or options.broker == "mosquitto"
    parts = [part for part in options.parts if part != "broker" or mosquitto]
    cells = [(part, fault) for part in parts for fault in options.faults if part in MODES[options.mode].get(fault, ())]
    return sorted(cells, key=lambda cell: list(KINDS).index(kind(cell, options.mode)))


def kind(cell: tuple[str, str], mode: str) -> str:
    """Which pipeline a cell needs."""
    return FAULTS[cell[1]].stack if mode == "embedded" else mode


def run(options: argparse.Namespace, folder: Path, denied: str | None, done: list[Row]) -> None:
    """All cells, added to `done` and told one by one. Raises AssertionError where the pipeline did not come back."""
    began, dice = time.monotonic(), random.Random(options.seed)
    cells, of = plan(options), partial(kind, mode=options.mode)
    obstacles = {cell: why for cell in cells if (why := isolation.obstacle(of(cell), cell[0], denied))}
    possible = [cell for cell in cells if cell not in obstacles]
    for name, group in itertools.groupby(possible, key=of):
        with pipeline(name, folder / name, options.broker, options.rate, options.seed) as stack:
            for part, fault in group:
                print(
                    f"{time.monotonic() - began:4.0f} s  {len(done) + 1}/{len(possible)}  {part} {fault} ...", end=" "
                )
                sys.stdout.flush()
                done.append(run_cell(stack, part, fault, options, dice))
                print(done[-1].verdict, flush=True)
    done += [NotRun(part, fault, why) for (part, fault), why in obstacles.items()]
    print(f"{time.monotonic() - began:4.0f} s in all")


def parse_options() -> argparse.Namespace:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--mode", choices=MODES, default="embedded", help="where the pipeline runs (embedded)")
    words.add_argument("--parts", nargs="+", choices=PARTS, help="who suffers (all)")
    words.add_argument("--faults", nargs="+", choices=FAULTS, help="what is done (the usual)")
    words.add_argument("--seconds", type=float, default=3, help="how long `away`; longer also freezes longer (3)")
    words.add_argument("--rate", type=float, default=400, help="samples a second (400)")
    words.add_argument("--broker", choices=("nats", "mosquitto"), default="nats", help="where devices publish (nats)")
    words.add_argument("--seed", type=int, default=secrets.randbelow(2**31), help="decides what is left to chance")
    words.add_argument("--results", type=Path, help="the folder for JSON, Markdown and the plot (none)")
    options = words.parse_args()
    usual = [fault for fault, injection in FAULTS.items() if injection.usual or options.parts]
    options.parts, options.faults = options.parts or PARTS, options.faults or usual
    if options.broker == "mosquitto" and not program():
        words.error("Mosquitto is not installed")
    if not plan(options):
        words.error("none of these parts knows such a fault")
    return options


def about_mode(options: argparse.Namespace) -> str:
    """Where the pipeline runs, and its broker."""
    return f"broker: {options.broker}" if options.mode == "embedded" else f"mode: {options.mode}"


def main() -> int:
    options = parse_options()
    kinds = {kind(cell, options.mode) for cell in plan(options)}
    denied = isolation.enter() if isolation.needed(kinds) and not isolation.isolated() else None
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whatever ends it, nothing of it goes on
    about = f"seed {options.seed}, {options.rate:g} samples a second, {about_mode(options)}"
    print(f"--{about}")
    done: list[Row] = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            run(options, Path(folder), denied, done)
    except KeyboardInterrupt:
        print("\ninterrupted: what was started is stopped")
        return 130
    finally:
        print(f"\n{table(done)}")
        if options.results and done:
            report.write(options.results, done, about)
    return 1 if any(row.complaints for row in done) else 0


if __name__ == "__main__":
    sys.exit(main())
