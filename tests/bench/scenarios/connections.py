"""`connections`: the same rate from few MQTT connections and from one per device."""

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

CONNECTS_PER_SECOND = 1500


def run(bench: Bench) -> list[dict]:
    options, rows = bench.options, []
    with bench.pipeline(broker=options.broker) as pipeline:
        for count in options.connections:
            bench.say(f"{count:,} connections, {options.rate:,} samples per second for {options.seconds} s")
            spec = LoadSpec(options.rate, options.seconds, max(options.modules, count), count, options.form)
            rows.append(measured(pipeline, spec))
    return rows


def seconds(options: Options) -> float:
    connecting = sum(options.connections) / CONNECTS_PER_SECOND
    return START_SECONDS + connecting + len(options.connections) * (options.seconds + STEP_SECONDS)


SCENARIO = Scenario(
    about="cost and latency at RATE from each number of CONNECTIONS; as many modules as connections, at least MODULES",
    defaults={
        "CONNECTIONS": (4, 100, 1000, 10_000),
        "RATE": 5000,
        "SECONDS": 10,
        "MODULES": 2000,
        "FORM": "bare",
        "BROKER": "mosquitto",
    },
    brief={"CONNECTIONS": (4, 1000), "SECONDS": 4, "RATE": 2000},
    seconds=seconds,
    run=run,
    columns=(
        Column("connections", "connections"),
        Column("connecting s", "connecting_s", 1),
        *RUN,
        *FRAME,
        *COSTS,
        *MEMORY,
        *CEILING,
    ),
    plot=Plot(
        "connections",
        Axis("MQTT connections", log=True),
        Axis("CPU per sample, microseconds"),
        {"pipeline": "pipeline_us", "mosquitto": "cpu_us.mosquitto", "nats": "cpu_us.nats"},
    ),
    limits=("broker",),
)
