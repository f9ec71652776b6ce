"""`idle`: what each part spends on nothing and on a trickle: CPU as percent of one core, wake-ups per second."""

import time

from bench.measure import LoadSpec, introduce, introducing_seconds, publish
from bench.options import Options
from bench.plot import Axis
from bench.scenario import PARTS, START_SECONDS, STEP_SECONDS, Bench, Plot, Scenario
from bench.table import Column
from bench.usage import Usage


def run(bench: Bench) -> list[dict]:
    options, rows = bench.options, []
    log = bench.folder / "sent"
    with bench.pipeline(broker=options.broker) as pipeline:
        introduce(pipeline, options.modules)
        for rate in options.rates:
            bench.say(f"{rate:,} samples per second for {options.seconds} s")
            began = time.monotonic()
            with Usage(pipeline.processes) as usage:
                if rate:
                    first = pipeline.number(round(rate * options.seconds))
                    publish(pipeline.mqtt_url, LoadSpec(rate, options.seconds, options.modules), log, first)
                else:
                    time.sleep(options.seconds)
            rows.append({"rate": str(rate)} | shares(usage, time.monotonic() - began))
    return rows


def shares(usage: Usage, seconds: float) -> dict:
    """Percent of a core and wake-ups per second, of each part and of all."""
    percent = {part: spent / seconds * 100 for part, spent in usage.cpu.items()}
    return {
        "cpu_percent": percent | {"all": sum(percent.values())},
        "wakeups": {part: count / seconds for part, count in usage.wakeups.items()},
        "memory_mb": {part: size / 1e6 for part, size in usage.peak.items()},
    }


def seconds(options: Options) -> float:
    return (
        START_SECONDS + introducing_seconds(options.modules) + STEP_SECONDS + len(options.rates) * (options.seconds + 1)
    )


SCENARIO = Scenario(
    about="CPU and wake-ups of each part at each of RATES; 0 is nothing at all",
    defaults={"RATES": (0, 100), "SECONDS": 30, "MODULES": 2000, "BROKER": "mosquitto"},
    brief={"SECONDS": 5},
    seconds=seconds,
    run=run,
    columns=(
        Column("rate", "rate"),
        Column("all %", "cpu_percent.all", 1),
        *(Column(f"{part} %", f"cpu_percent.{part}", 1) for part in PARTS),
        *(Column(f"{part} wakes/s", f"wakeups.{part}") for part in PARTS),
    ),
    plot=Plot(
        "rate",
        Axis("samples per second"),
        Axis("percent of one core"),
        {part: f"cpu_percent.{part}" for part in PARTS},
    ),
)
