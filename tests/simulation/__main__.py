"""`make simulation`: stories from one seed after another, on every core, and each that broke an invariant by its seed.

With `SEED=n` the one story of that seed is told line by line.
"""

import argparse
import gc
import os
import resource
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

import structlog

from simulation.judge import Broken
from simulation.story import play

CHUNK = 50
GARBAGE = 20_000
"""Objects between two collections of garbage: with Python's 700 they took a twentieth of a story's time."""


def main(arguments: Sequence[str]) -> int:
    """Exit with 1 if a story broke an invariant."""
    parser = argparse.ArgumentParser(prog="make simulation", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, help="tell the story of this seed alone")
    parser.add_argument("--stories", type=int, default=10_000, help="how many (default %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default %(default)s)")
    chosen = parser.parse_args(arguments)
    if chosen.seed is not None:
        return tell(chosen.seed)
    began = time.monotonic()
    broken = 0
    chunks = [range(at, min(at + CHUNK, chosen.first + chosen.stories)) for at in _starts(chosen.first, chosen.stories)]
    with ProcessPoolExecutor(os.cpu_count(), initializer=_start_worker) as pool:
        for faults in pool.map(play_all, chunks):
            broken += len(faults)
            for fault in faults:
                print(fault, flush=True)
    seconds, used = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = (used.ru_utime + used.ru_stime) / chosen.stories
    print(f"{chosen.stories} stories from seed {chosen.first} in {seconds:.0f} s, each {1000 * cpu:.0f} ms of CPU")
    print(f"{broken} broke an invariant")
    if broken:
        print("make simulation SEED=n tells one of them")
    return 1 if broken else 0


def _starts(first: int, count: int) -> range:
    return range(first, first + count, CHUNK)


def _start_worker() -> None:
    quiet()
    gc.freeze()
    gc.set_threshold(GARBAGE)


def quiet() -> None:
    """The services log errors that stories are made of."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(50), logger_factory=structlog.ReturnLoggerFactory()
    )


def play_all(seeds: Sequence[int]) -> list[str]:
    """Return what broke, with its seed."""
    faults = []
    for seed in seeds:
        try:
            play(seed)
        except Broken as fault:
            faults.append(str(fault))
    return faults


def tell(seed: int) -> int:
    """Print a story; whatever the services log stands between its lines."""
    try:
        play(seed, print)
    except Broken as fault:
        print(fault)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
