"""`make mutants`: breaks one guarantee after another in a copy of the tree, and shows which test noticed.

Each mutant runs the tests that the catalogue names for it, and nothing else. Exits with 1 if one of those fails without
a mutant, if a mutant survives, or if one no longer applies.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from mutants.catalogue import ROOT, Mutant
from mutants.guarantees import MUTANTS

PATIENCE = 300
"""Seconds for the tests of one mutant. A mutant that hangs its tests is caught by their time limit before that."""

FAILED = re.compile(r"^(?:FAILED|ERROR) \S*?([^/\s]+\.py)(?:::(\S+))?", re.MULTILINE)


def main(arguments: Sequence[str]) -> int:
    """Run the mutants whose name contains one of `arguments`, or all."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="run the mutants whose name contains this")
    names = parser.parse_args(arguments).names
    chosen = [each for each in MUTANTS if not names or any(name in each.name for name in names)]
    if not chosen:
        parser.error("no mutant has such a name")
    return run(chosen)


def run(chosen: Sequence[Mutant]) -> int:
    """Print a line for each mutant; return the exit code."""
    with tempfile.TemporaryDirectory(prefix="seve-mutants-") as folder:
        tree = Path(folder)
        copy_tree(tree)
        every_test = sorted({test for each in chosen for test in each.tests})
        if broken := failure(tree, every_test):
            print(f"without a mutant there fails: {broken}")
            return 1
        width = max(len(each.name) for each in chosen)
        survived = 0
        for each in chosen:
            began = time.monotonic()
            caught = try_mutant(tree, each)
            survived += caught is None
            print(f"{each.name:{width}}  {time.monotonic() - began:5.1f} s  {caught or 'SURVIVED'}", flush=True)
    print(f"{len(chosen) - survived} of {len(chosen)} mutants caught")
    return 1 if survived else 0


def copy_tree(tree: Path) -> None:
    """Copy what git knows of, as it stands in the working tree."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        source, target = ROOT / name, tree / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def try_mutant(tree: Path, mutant: Mutant) -> str | None:
    """Return the test that noticed a mutant, None if none did; the tree is as before."""
    path = tree / mutant.file
    source = path.read_text(encoding="utf-8")
    path.write_text(mutant.applied(source), encoding="utf-8")
    try:
        return failure(tree, mutant.tests)
    finally:
        path.write_text(source, encoding="utf-8")


def failure(tree: Path, tests: Sequence[str]) -> str | None:
    """Return the first test that fails in the tree, None if none does."""
    sources = [str(path) for path in sorted(tree.glob("*/*/src"))]
    # stale bytecode is told by size and whole seconds: a mutant of the same size would not be seen
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sources), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        return f"nothing within {PATIENCE} s"
    if not done.returncode:
        return None
    if found := FAILED.search(done.stdout):
        return "::".join(filter(None, found.groups()))
    return f"pytest ended with {done.returncode}: {done.stdout[-500:]}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
