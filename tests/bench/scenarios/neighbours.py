"""`neighbours`: how late the samples of all others are while one device publishes many times its share."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bench.measure import LoadSpec, measured
from bench.options import Options
from bench.pipeline import Pipeline
from bench.plot import Axis
from bench.scenario import COMMIT, FRAME, RUN, START_SECONDS, STEP_SECONDS, Bench, Plot, Scenario
from bench.table import Column


def run(bench: Bench) -> list[dict]:
    options, rows = bench.options, []
    for times in options.times:
        with bench.pipeline(broker=options.broker) as pipeline:
            rate = times * options.rate / options.modules
            bench.say(f"one device at {rate:,.0f} samples per second, {times:,} times its share")
            spec = LoadSpec(options.rate, options.seconds, options.modules, options.modules, options.form)
            with flooding(pipeline, rate, options.seconds):
                rows.append({"times": str(times), "flood_rate": rate} | measured(pipeline, spec))
    return rows


@contextmanager
def flooding(pipeline: Pipeline, rate: float, seconds: float) -> Iterator[None]:
    """One device that publishes at `rate` while the context lasts, at least `seconds`."""
    if not rate:
        yield
        return
    first = pipeline.number(round(rate * seconds))
    options = [f"--rate={rate}", f"--seconds={seconds}", f"--first={first}", "--modules=1", "--connections=1"]
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
        "RATE": 1000,
        "MODULES": 100,
        "SECONDS": 20,
        "FORM": "bare",
        "BROKER": "nats",
    },
    brief={"TIMES": (0, 100), "SECONDS": 5},
    seconds=seconds,
    run=run,
    columns=(Column("times its share", "times"), Column("flood/s", "flood_rate"), *RUN, *FRAME, *COMMIT),
    plot=Plot(
        "times",
        Axis("times its share"),
        Axis("milliseconds from publishing to frame", log=True),
        {"p50": "frame_ms.p50", "p99": "frame_ms.p99", "max": "frame_ms.max"},
    ),
)
