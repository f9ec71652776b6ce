"""`writers`: how several writers share a backlog, with a database that is a slow round trip away."""

from support.faults import wires

from bench.options import Options
from bench.plot import Axis
from bench.scenario import START_SECONDS, STEP_SECONDS, Bench, Plot, Scenario
from bench.scenarios.drain import COLUMNS, DRAIN_PER_SECOND, FILL_PER_SECOND, drained
from bench.table import Column


def run(bench: Bench) -> list[dict]:
    options = bench.options
    names = ["writer", *(f"writer-{n}" for n in range(2, max(options.writers) + 1))]
    with wires(1) as (wire,), bench.pipeline(broker=options.broker, writers=len(names), wire=wire) as pipeline:
        wire.proxy.latency = options.round_trip_ms / 2000
        return [drained(bench, pipeline, options.rows, names[:count]) for count in options.writers]


def seconds(options: Options) -> float:
    each = options.rows / FILL_PER_SECOND + options.rows / DRAIN_PER_SECOND + STEP_SECONDS
    return START_SECONDS + len(options.writers) * each


SCENARIO = Scenario(
    about="ROWS behind, for each number of WRITERS, with ROUND_TRIP_MS to the database",
    defaults={"WRITERS": (1, 2, 4), "ROWS": 200_000, "ROUND_TRIP_MS": 20, "MODULES": 2000, "BROKER": "mosquitto"},
    brief={"ROWS": 30_000},
    seconds=seconds,
    run=run,
    columns=(Column("writers", "writers"), *COLUMNS),
    plot=Plot("writers", Axis("writers"), Axis("rows per second"), {"drained": "per_second"}),
    limits=("copy",),
)
