"""`fleet`: what a sample costs as the same rate comes from ever more modules."""

from bench.measure import LoadSpec, measured
from bench.options import Options
from bench.plot import Axis
from bench.scenario import (
    CEILING,
    COSTS,
    FRAME,
    MEMORY,
    RUN,
    START_SECONDS,
    STEP_SECONDS,
    Bench,
    Plot,
    Scenario,
)
from bench.table import Column


def run(bench: Bench) -> list[dict]:
    options, rows = bench.options, []
    for form in options.forms:
        for modules in options.modules:
            with bench.pipeline(broker=options.broker) as pipeline:  # its own: series of an earlier run cost memory
                bench.say(f"{modules:,} modules, {form}, {options.rate:,} samples per second for {options.seconds} s")
                row = measured(pipeline, LoadSpec(options.rate, options.seconds, modules, options.connections, form))
                rows.append(row)
    for row in rows:
        same = {other["modules"]: other["pipeline_us"] for other in rows if other["form"] == row["form"]}
        row["against_50"] = row["pipeline_us"] / same[50] if 50 in same else None
    return rows


def seconds(options: Options) -> float:
    return len(options.modules) * len(options.forms) * (START_SECONDS + options.seconds + STEP_SECONDS)


SCENARIO = Scenario(
    about="cost per sample at RATE from each of MODULES, and for each payload of FORMS (bare, value, timed)",
    defaults={
        "RATE": 20_000,
        "SECONDS": 20,
        "MODULES": (1, 50, 2000, 100_000),
        "FORMS": ("bare",),
        "CONNECTIONS": 4,
        "BROKER": "mosquitto",
    },
    brief={"RATE": 5000, "SECONDS": 4, "MODULES": (50, 2000)},
    seconds=seconds,
    run=run,
    columns=(
        Column("form", "form"),
        Column("modules", "modules"),
        Column("against 50", "against_50", 2),
        *COSTS,
        *RUN,
        *FRAME,
        *MEMORY,
        *CEILING,
    ),
    plot=Plot(
        "modules",
        Axis("modules", log=True),
        Axis("CPU per sample, microseconds"),
        {
            "pipeline": "pipeline_us",
            **{part: f"cpu_us.{part}" for part in ("nats", "ingest", "writer", "broadcaster", "mosquitto", "postgres")},
        },
    ),
    limits=("broker",),
)
