"""`neighbours`: what a fleet notices of a device that publishes many times its share, and of clients that never read.

The fleet has its own shape: one connection per device, modules in turn, each form of payload in turn. The loud device
publishes for one module, or with `INVENT` for a new one with each sample.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from support.raw_client import deaf

from bench.measure import LoadSpec, measured
from bench.options import Options
from bench.pipeline import Pipeline
from bench.plot import Axis
from bench.scenario import COMMIT, COSTS, FRAME, MEMORY, RUN, START_SECONDS, STEP_SECONDS, Bench, Plot, Scenario
from bench.table import Column


def run(bench: Bench) -> list[dict]:
    options, rows = bench.options, []
    for times in options.times:
        with bench.pipeline(broker=options.broker) as pipeline:
            rate = times * options.rate / options.modules
            bench.say(f"one device at {rate:,.0f} samples per second, {times:,} times its share")
            spec = LoadSpec(options.rate, options.seconds, options.modules, options.modules, options.form)
            with ExitStack() as beside:
                for _ in range(options.stuck):
                    beside.enter_context(deaf(pipeline.ws_url, "*"))
                beside.enter_context(flooding(pipeline, rate, options.seconds, invent=bool(options.invent)))
                rows.append({"times": str(times), "flood_rate": rate} | measured(pipeline, spec))
    return rows


@contextmanager
def flooding(pipeline: Pipeline, rate: float, seconds: float, *, invent: bool) -> Iterator[None]:
    """One device that publishes at `rate` while the context lasts, at least `seconds`."""
    if not rate:
        yield
        return
    count = round(rate * seconds)
    first, modules = pipeline.number(count), count if invent else 1
    options = [f"--rate={rate}", f"--seconds={seconds}", f"--first={first}", f"--modules={modules}", "--connections=1"]
    command = [sys.executable, "-m", "seve_fleet.load.publisher", pipeline.mqtt_url, "--prefix=flood", *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def seconds(options: Options) -> float:
    return len(options.times) * (START_SECONDS + options.seconds + STEP_SECONDS)


SCENARIO = Scenario(
    about="frames and commits of MODULES devices at RATE in all, beside one that publishes TIMES its share",
    defaults={
        "TIMES": (0, 100, 1000),
        "INVENT": 0,
        "STUCK": 8,
        "RATE": 2000,
        "MODULES": 2000,
        "SECONDS": 20,
        "FORM": "mixed",
        "BROKER": "nats",
    },
    brief={"TIMES": (0, 100), "MODULES": 200, "SECONDS": 5},
    seconds=seconds,
    run=run,
    columns=(Column("times", "times"), Column("flood/s", "flood_rate"), *RUN, *FRAME, *COMMIT, *MEMORY, *COSTS),
    plot=Plot(
        "times",
        Axis("times its share"),
        Axis("milliseconds from publishing to frame", log=True),
        {"p50": "frame_ms.p50", "p99": "frame_ms.p99", "max": "frame_ms.max"},
    ),
)
