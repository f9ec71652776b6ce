"""`sync`: what each NATS_SYNC_INTERVAL costs, `always` (fsync before each acknowledgement) included."""

from bench.limits import journal
from bench.measure import LoadSpec, measured
from bench.options import Options
from bench.plot import Axis
from bench.scenario import COSTS, FRAME, RUN, START_SECONDS, STEP_SECONDS, Bench, Plot, Scenario
from bench.table import Column

RAW_SECONDS = 2


def run(bench: Bench) -> list[dict]:
    options, rows = bench.options, []
    for interval in options.intervals:
        folder = bench.folder / f"journal-{interval}"
        folder.mkdir()
        bench.say(f"sync_interval {interval}: JetStream alone")
        alone = journal(folder, RAW_SECONDS, sync_interval=interval)
        with bench.pipeline(broker=options.broker, sync_interval=interval) as pipeline:
            for rate in options.rates:
                bench.say(f"sync_interval {interval}, {rate:,} samples per second for {options.seconds} s")
                row = measured(pipeline, LoadSpec(rate, options.seconds, options.modules, form=options.form))
                rows.append({"interval": interval, "journal_alone": alone["per_second"]} | row)
    return rows


def seconds(options: Options) -> float:
    each = START_SECONDS + RAW_SECONDS + len(options.rates) * (options.seconds + STEP_SECONDS)
    return len(options.intervals) * each


SCENARIO = Scenario(
    about="each of INTERVALS at each of RATES, beside JetStream alone with the same setting",
    defaults={
        "INTERVALS": ("2m", "10s", "1s", "always"),
        "RATES": (5000, 10_000),
        "SECONDS": 10,
        "MODULES": 2000,
        "FORM": "bare",
        "BROKER": "mosquitto",
    },
    brief={"INTERVALS": ("2m", "always"), "RATES": (2000,), "SECONDS": 4},
    seconds=seconds,
    run=run,
    columns=(
        Column("sync_interval", "interval"),
        Column("rate", "rate"),
        Column("JetStream alone/s", "journal_alone"),
        Column("last frame s", "frame_lag_s", 1),
        *RUN,
        *FRAME,
        *COSTS,
    ),
    plot=Plot(
        "interval",
        Axis("sync_interval"),
        Axis("milliseconds from publishing to frame", log=True),
        {"p50": "frame_ms.p50", "p99": "frame_ms.p99", "max": "frame_ms.max"},
    ),
    limits=("journal",),
)
