"""`drain`: how fast the writer empties a journal that it is far behind on."""

from bench.measure import costs, filled
from bench.options import Options
from bench.pipeline import Pipeline
from bench.plot import Axis
from bench.rows import accounted, span, verdict, wait_stored
from bench.scenario import COSTS, MEMORY, START_SECONDS, STEP_SECONDS, Bench, Plot, Scenario
from bench.table import Column
from bench.usage import Usage

FILL_PER_SECOND = 20_000
"""What the fill is asked for; slower machines take longer."""
DRAIN_PER_SECOND = 20_000
PATIENCE = 60
COLUMNS = (
    Column("rows", "rows"),
    Column("rows/s", "per_second"),
    Column("transactions", "transactions"),
    Column("seconds", "seconds", 1),
    Column("rows missing", "rows_missing"),
    Column("twice", "rows_twice"),
    *COSTS,
    *MEMORY,
)


def drained(bench: Bench, pipeline: Pipeline, count: int, writers: list[str]) -> dict:
    """Stop every writer, leave `count` samples behind, start `writers`, and time them from first to last commit."""
    for writer in (part for part in pipeline.services if part.startswith("writer") and not pipeline.gone(part)):
        pipeline.terminate(writer)
    bench.say(f"publishing {count:,} samples while no writer runs")
    first, load = filled(pipeline, count, bench.options.modules, FILL_PER_SECOND)
    before = accounted(pipeline)
    bench.say(f"{len(writers)} writing")
    for writer in writers:
        pipeline.launch(writer)
    with Usage(pipeline.processes) as usage:
        wait_stored(pipeline, first, count, load["sent"], before=before, patience=PATIENCE)
    took, transactions = span(pipeline, first, count)
    row = {"rows": count, "writers": len(writers), "seconds": took, "transactions": transactions}
    row["per_second"] = load["sent"] / took if took else None
    return row | verdict(pipeline, first, count, load) | costs(usage, load["sent"])


def run(bench: Bench) -> list[dict]:
    with bench.pipeline(broker=bench.options.broker) as pipeline:
        return [drained(bench, pipeline, count, ["writer"]) for count in bench.options.rows]


def seconds(options: Options) -> float:
    each = (count / FILL_PER_SECOND + count / DRAIN_PER_SECOND + STEP_SECONDS for count in options.rows)
    return START_SECONDS + sum(each)


SCENARIO = Scenario(
    about="the writer starts with each number of ROWS behind it",
    defaults={"ROWS": (1_000_000,), "MODULES": 2000, "BROKER": "mosquitto"},
    brief={"ROWS": (50_000,)},
    seconds=seconds,
    run=run,
    columns=COLUMNS,
    plot=Plot("rows", Axis("rows behind"), Axis("rows per second"), {"drained": "per_second"}),
    limits=("copy",),
)
