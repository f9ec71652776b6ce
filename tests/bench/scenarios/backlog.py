"""`backlog`: ingest empties a broker that is full of messages. Its cost in whole batches, by form of payload."""

from array import array

from support import faults

from bench.measure import MICROS, LoadSpec, costs, publish, screened
from bench.options import Options
from bench.pipeline import Pipeline
from bench.plot import Axis
from bench.rows import accounted, verdict, wait_stored
from bench.scenario import COSTS, MEMORY, START_SECONDS, STEP_SECONDS, Bench, Plot, Scenario
from bench.table import Column
from bench.usage import Usage

FILL_PER_SECOND = 40_000
"""What the fill is asked for; ingest is frozen meanwhile, for less than the broker's patience with a silent client."""
DRAIN_PER_SECOND = 20_000


def run(bench: Bench) -> list[dict]:
    options, rows = bench.options, []
    with bench.pipeline(broker=options.broker) as pipeline:
        for form in options.forms:
            bench.say(f"{options.rows:,} samples, {form}, wait in the broker")
            rows.append(
                {"form": form} | emptied(bench, pipeline, LoadSpec(FILL_PER_SECOND, 0, options.modules, form=form))
            )
    return rows


def emptied(bench: Bench, pipeline: Pipeline, spec: LoadSpec) -> dict:
    """Freeze ingest, publish, and time what follows by the frames that a screen is sent."""
    spec = spec._replace(seconds=bench.options.rows / spec.rate, query="module=*&batch=1")
    first = pipeline.number(bench.options.rows)
    before, log = accounted(pipeline), bench.folder / "sent"
    with screened(pipeline, bench.folder, spec, first) as screens:
        with faults.frozen(pipeline.part("ingest")):
            load = publish(pipeline.mqtt_url, spec, log, first)
        with Usage(pipeline.processes) as usage:
            seen = screens.result(load["sent"])
            wait_stored(pipeline, first, bench.options.rows, load["sent"], before=before)
        arrivals = [at for _, at in screens.arrivals()]
    took = (max(arrivals) - array("q", log.read_bytes())[-1]) / MICROS
    row = {"rows": load["sent"], "per_second": load["sent"] / took, "frames_missing": load["sent"] - seen["seen"]}
    return row | verdict(pipeline, first, bench.options.rows, load) | costs(usage, load["sent"])


def seconds(options: Options) -> float:
    each = options.rows / FILL_PER_SECOND + options.rows / DRAIN_PER_SECOND + STEP_SECONDS
    return START_SECONDS + len(options.forms) * each


SCENARIO = Scenario(
    about="ingest empties a broker that holds ROWS, for each payload of FORMS (bare, value, timed)",
    defaults={"ROWS": 200_000, "FORMS": ("bare", "value", "timed"), "MODULES": 2000, "BROKER": "mosquitto"},
    brief={"ROWS": 30_000},
    seconds=seconds,
    run=run,
    columns=(
        Column("form", "form"),
        Column("rows", "rows"),
        Column("samples/s", "per_second"),
        Column("rows missing", "rows_missing"),
        Column("twice", "rows_twice"),
        Column("frames missing", "frames_missing"),
        *COSTS,
        *MEMORY,
    ),
    plot=Plot(
        "form",
        Axis("payload"),
        Axis("CPU per sample, microseconds"),
        {part: f"cpu_us.{part}" for part in ("nats", "ingest", "writer", "broadcaster", "mosquitto")},
    ),
    limits=("broker", "journal"),
)
