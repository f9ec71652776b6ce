"""An upgrade side by side: services of two versions, replaced one after another under load, and the account.

    make upgrade        or        .venv/bin/python tests/faults/upgrade.py [--before COMMIT] [--seed N]

It starts a pipeline of its own with two writers, all of the version before, lets a simulated fleet publish at QoS 1,
and replaces every service by the one of this working tree, with `setup` somewhere among them, in an order that the seed
decides; then, in another order, every service by the one before again, as after an upgrade that was called off. Each is
stopped as an operator would. Exits with 1 if a sample was lost or stored twice, did not reach the screen undeclared,
lacks in the ledger, or if a service was not ready in the end.

Both versions run with the libraries of this working tree's environment, on the same NATS and PostgreSQL.
"""

import argparse
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

sys.path[:0] = [str(Path(__file__).parents[1])]

from support.conditions import wait_until
from support.fleet import simulated
from support.ledger import assert_every_message_is_accounted_for
from support.stack import EmbeddedStack

ROOT: Final = Path(__file__).parents[2]
STEP_SECONDS: Final = 10.0
"""Seconds of load per step of the plan: what a busy machine needs for one."""


class TwoVersions(EmbeddedStack):
    """A pipeline whose services each run the code of one of two checkouts."""

    def __init__(self, folder: Path, before: Path) -> None:
        super().__init__(folder, writers=2)
        self._before = before
        lacking = {name for name in self.services if not (before / "services" / name.partition("-")[0]).is_dir()}
        self._without |= lacking
        self.replaceable = [name for name in self.services if name not in lacking]
        self.use(self._before, ["setup", *self.replaceable])

    def use(self, checkout: Path, names: Sequence[str]) -> None:
        """Start these from a checkout from now on."""
        packages = [str(each) for each in sorted(checkout.glob("*/*/src"))]
        for name in names:
            process = self._setup if name == "setup" else self._processes[name]
            process.environment["PYTHONPATH"] = ":".join(packages)

    def replace(self, name: str, checkout: Path) -> None:
        """Stop a service as an operator would, and start that of the checkout; or run its `setup`."""
        self.use(checkout, [name])
        if name == "setup":
            self._setup.run("setup")
            return
        if code := self.terminate(name):
            raise AssertionError(f"{name} ended with {code}\n{self.tail(name)}")
        self.launch(name)

    def all_ready(self, *, writers: bool) -> bool:
        """Whether every service that runs is ready; of writers only if they can be."""
        return all(self.ready(name) for name in self.services if writers or not name.startswith("writer"))


def plan(names: Sequence[str], dice: random.Random) -> list[tuple[str, str]]:
    """Who is replaced by which version, in order. Migrations are not taken back."""
    forth, back = ["setup", *names], list(names)
    dice.shuffle(forth)
    dice.shuffle(back)
    return [*((name, "after") for name in forth), *((name, "before") for name in back)]


def replace_all(stack: TwoVersions, steps: Sequence[tuple[str, str]], checkouts: dict[str, Path], running) -> None:
    """Take the steps, each once the one before is ready. A writer of a version that waits for its `setup` is not."""
    began = time.monotonic()
    for at, (name, version) in enumerate(steps):
        stack.replace(name, checkouts[version])
        waits = ("setup", "after") in steps[at + 1 :]
        wait_until(partial(stack.all_ready, writers=not waits), f"{name} of the version {version} ready", 60)
        print(f"{time.monotonic() - began:4.0f} s  {name} of the version {version}", flush=True)
        assert running(), "the fleet was done before the last step"


def run(options: argparse.Namespace, folder: Path) -> None:
    """Raises AssertionError with what went wrong."""
    before = folder / "before"
    before.mkdir()
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", options.before], check=True, capture_output=True)
    subprocess.run(["tar", "-x", "-C", str(before)], input=archive.stdout, check=True)
    stack = TwoVersions(folder / "stack", before)
    steps = plan(stack.replaceable, random.Random(options.seed))
    load = STEP_SECONDS * len(steps)
    shape = ("--modules=20", f"--rate={options.rate:g}", f"--seconds={load:g}", "--report-every=2")
    try:
        stack.start()
        with simulated(stack, folder, *shape, PATIENCE="60s") as fleet:
            fleet.wait_until_at_work()
            replace_all(stack, steps, {"before": before, "after": ROOT}, lambda: fleet.process.poll() is None)
            wait_until(lambda: fleet.process.poll() is not None, "the end of the run", load + 90)
            print(fleet.text[-2000:])
            assert fleet.process.returncode == 0, "the account does not close"
        stack.wait_ready()
        assert_every_message_is_accounted_for(stack)
    except AssertionError:
        for name in stack.services:
            print(f"--- {name}\n{stack.tail(name)[-1500:]}")
        raise
    finally:
        stack.stop()


def newest_release() -> str:
    """The tag of the newest release, or the current commit where there is none."""
    found = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--tags", "--abbrev=0", "--match=v*"],
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() or "HEAD"


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--before", default=newest_release(), help="the version before: a commit or tag (%(default)s)")
    words.add_argument("--rate", type=float, default=200, help="samples per second (200)")
    words.add_argument("--seed", type=int, default=secrets.randbelow(2**31), help="decides the order")
    options = words.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whatever ends it, nothing of it goes on
    print(f"--before {options.before} --seed {options.seed}")
    with tempfile.TemporaryDirectory() as folder:
        try:
            run(options, Path(folder))
        except AssertionError as error:
            print(f"broken: {error}")
            return 1
    print("every sample stored once, and accounted for")
    return 0


if __name__ == "__main__":
    sys.exit(main())
