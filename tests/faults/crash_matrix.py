"""The crash matrix: every part of a pipeline, every fault, and the account of what each cost.

    make faults        or        .venv/bin/python tests/faults/crash_matrix.py [--parts writer nats] [--faults killed]

It starts a pipeline of its own (two writers, PostgreSQL with fsync, NATS' own broker or Mosquitto), lets a simulated
fleet publish at QoS 1 while a part suffers, and asks the fleet, the journal, the table and the ledger what became of
each sample. What is killed are processes that it started, by pid.

    killed         SIGKILL to the part and all its children; started again at once
    stopped        SIGTERM, its end awaited; started again at once
    away           killed, and started again after --seconds
    frozen         SIGSTOP for longer than its neighbours' patience (7 s), then SIGCONT
    midway         killed while the part that it hands its messages to is frozen
    behind         away, while the journal keeps 64 KiB of history: screens must be told what they missed
    slow           every byte from and to the database takes 0.1 s longer, for 4 s
    cut            every connection to NATS broken every 0.4 s, for 4 s
    full           the database away until the journal, a small one, is full, and for --seconds then

    sent, stored   samples with the device's time, and those of them that are a row
    twice          rows beyond one a sample, and the broker's deliveries that are in the journal more than once
    lost           samples without a row
    seen, gaps     samples that came on a WebSocket, and gap frames; what did not come must lie in a gap
    first row      from the part's end (or freezing) to the first row of a sample sent after it
    slowest        the longest that any sample took to its row

The exit code is 1 if anything was lost, came twice, was kept from the screen undeclared, or lacks in the ledger. A full
disk of PostgreSQL's is not among the faults, since making one takes rights that not everybody has: a test does that.
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
from contextlib import ExitStack, nullcontext, suppress
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).parent.parent))

from faults.deeds import FAULTS, FILLING, PARTS, Pipeline
from faults.journal import carried, ends, heard
from faults.verdict import Cell, table, times
from seve_fleet.simulate.result import Outcome
from support.conditions import wait_until
from support.faults import wires
from support.fleet import simulated
from support.ledger import audit, commits
from support.mosquitto import program

LEAD, TAIL = 2.5, 1.5
"""Seconds of load before a fault, at most, and after it, at least."""


def run_cell(stack: Pipeline, part: str, fault: str, wishes: argparse.Namespace, dice: random.Random) -> Cell:
    """The fault under load, and what became of everything."""
    deed, file = FAULTS[fault], Path(tempfile.mkdtemp(dir=stack.folder)) / "account.json"
    before, lacking = asyncio.run(ends(stack)), unaccounted(stack)
    victim = dice.choice(["writer", "writer-2"]) if part == "writer" else part
    lasts = deed.lasts(wishes.seconds)
    load = LEAD + lasts + TAIL + (FILLING if fault == "full" or part == "everything" else 0)
    shape = ("--modules=20", f"--rate={wishes.rate:g}", f"--seconds={load:g}", "--report-every=2")
    with (
        heard(stack) if deed.stack == "forgetful" else nullcontext() as live,
        simulated(stack, file.parent, *shape, f"--account={file}", PATIENCE="30s") as run,
    ):
        run.wait_until_at_work()
        time.sleep(dice.uniform(0, LEAD - 2))
        at, troubles = deed.do(stack, victim, lasts)
        wait_until(lambda: run.process.poll() is not None, "the end of the run", load + 60)
        assert file.exists(), run.text
    troubles += [f"{one} ended by itself" for one in stack.services if stack.gone(one)]
    stack.wait_ready()
    settle(stack, lacking)
    told = asyncio.run(carried(stack, before)) if live is None else live
    first, longest = times(told, commits(stack), at)
    return Cell(
        part,
        fault,
        msgspec.json.decode(file.read_bytes(), type=Outcome),
        told,
        unaccounted=unaccounted(stack) - lacking,
        dead_letters=asyncio.run(ends(stack)).dead_letters - before.dead_letters,
        troubles=troubles,
        first=first,
        longest=longest,
        broker_may_lose=part == "broker" and fault in ("killed", "away"),
    )


def unaccounted(stack: Pipeline) -> int:
    """Journal messages that are lost or wait still, and rows of the ledger that do not add up."""
    found = audit(stack)
    return found.lost + found.findings[-1].waiting + found.unbalanced_rows


def settle(stack: Pipeline, lacking: int) -> None:
    """Until the ledger has everything, as far as it ever will."""
    with suppress(AssertionError):  # the cell says what it lacks
        wait_until(lambda: unaccounted(stack) <= lacking, "the ledger complete", 20)


def plan(wishes: argparse.Namespace) -> list[tuple[str, str]]:
    """The cells, those that need a pipeline of another kind last."""
    parts = [part for part in wishes.parts if part != "broker" or wishes.broker == "mosquitto"]
    cells = [(part, fault) for part in parts for fault in wishes.faults if part in FAULTS[fault].parts]
    return sorted(cells, key=kind)


def kind(cell: tuple[str, str]) -> int:
    """Which pipeline a cell needs."""
    return ["plain", "forgetful", "wired"].index(FAULTS[cell[1]].stack)


def run(wishes: argparse.Namespace, folder: Path, done: list[Cell]) -> None:
    """All cells, added to `done` and told one by one. Raises AssertionError where the pipeline did not come back."""
    cells, dice = plan(wishes), random.Random(wishes.seed)
    began = time.monotonic()
    special = [
        {},
        {"HISTORY_MAX_BYTES": "64KiB"},
        {"JOURNAL_MAX_BYTES": f"{round(wishes.rate)}KiB", "HISTORY_MAX_BYTES": "64KiB"},
    ]
    for number, group in itertools.groupby(cells, key=kind):
        with ExitStack() as held:
            laid = held.enter_context(wires(2)) if number == 2 else []
            stack = Pipeline(folder / f"stack-{number}", wishes.broker, laid, **special[number])
            held.callback(stack.stop)
            stack.start()
            for part, fault in group:
                print(f"{time.monotonic() - began:4.0f} s  {len(done) + 1}/{len(cells)}  {part} {fault} ...", end=" ")
                sys.stdout.flush()
                done.append(run_cell(stack, part, fault, wishes, dice))
                print(done[-1].verdict, flush=True)
    print(f"{time.monotonic() - began:4.0f} s in all")


def wished() -> argparse.Namespace:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="who suffers (all)")
    words.add_argument("--faults", nargs="+", choices=FAULTS, default=tuple(FAULTS), help="what is done (all)")
    words.add_argument("--seconds", type=float, default=3, help="how long `away`; longer also freezes longer (3)")
    words.add_argument("--rate", type=float, default=400, help="samples a second (400)")
    words.add_argument("--broker", choices=("nats", "mosquitto"), default="nats", help="where devices publish (nats)")
    words.add_argument("--seed", type=int, default=secrets.randbelow(2**31), help="decides what is left to chance")
    wishes = words.parse_args()
    if wishes.broker == "mosquitto" and not program():
        words.error("Mosquitto is not installed")
    if not plan(wishes):
        words.error("none of these parts knows such a fault")
    return wishes


def main() -> int:
    wishes = wished()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whatever ends it, nothing of it goes on
    print(f"--seed {wishes.seed}, {wishes.rate:g} samples a second, broker: {wishes.broker}")
    done: list[Cell] = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            run(wishes, Path(folder), done)
    except KeyboardInterrupt:
        print("\ninterrupted: what was started is stopped")
        return 130
    finally:
        print(f"\n{table(done)}")
    return 1 if any(cell.complaints for cell in done) else 0


if __name__ == "__main__":
    sys.exit(main())
