"""`storm`: a fleet connects at once and publishes birth, configurations and status, while samples without a time come.

This is the worst a broker does to ingest: it sends unacknowledged messages again behind newer ones. Rows and frames are
counted by number, so that a sample stored or seen twice shows. A device that the broker disconnects comes back and
repeats what was not acknowledged; those samples are told apart: their second row is the device's second message.
"""

from bench.measure import LoadSpec, measured
from bench.options import Options
from bench.plot import Axis
from bench.scenario import CEILING, COSTS, FRAME, MEMORY, RUN, START_SECONDS, STEP_SECONDS, Bench, Plot, Scenario
from bench.table import Column

SETTLE_SECONDS = 15
"""What a storm takes beyond its load until all is stored, about."""


def run(bench: Bench) -> list[dict]:
    options, rows = bench.options, []
    for broker in options.brokers:
        for devices in options.devices:
            with bench.pipeline(broker=broker) as pipeline:
                bench.say(f"{devices:,} devices on {broker}, {options.rate:,} samples per second beside their reports")
                spec = LoadSpec(options.rate, options.seconds, devices, devices, options.form, arrive=True, patience=90)
                rows.append({"broker": broker} | measured(pipeline, spec))
    return rows


def seconds(options: Options) -> float:
    step = START_SECONDS + options.seconds + STEP_SECONDS + SETTLE_SECONDS
    return len(options.brokers) * len(options.devices) * step


SCENARIO = Scenario(
    about="DEVICES connect at once and introduce themselves, with RATE samples per second; on each of BROKERS",
    defaults={
        "DEVICES": (8000,),
        "RATE": 1500,
        "SECONDS": 40,
        "FORM": "bare",
        "BROKERS": ("nats", "mosquitto"),
    },
    brief={"DEVICES": (1000,), "SECONDS": 8, "RATE": 500},
    seconds=seconds,
    run=run,
    columns=(
        Column("broker", "broker"),
        Column("devices", "connections"),
        Column("connected s", "connecting_s", 1),
        Column("reports", "reports"),
        Column("reconnects", "reconnects"),
        Column("samples sent again", "repeated"),
        *RUN,
        Column("gaps", "gaps"),
        Column("skips", "skips"),
        *FRAME,
        Column("last row s", "commit_lag_s", 1),
        *MEMORY,
        *COSTS,
        *CEILING,
    ),
    plot=Plot(
        "broker",
        Axis("broker"),
        Axis("milliseconds from publishing to frame", log=True),
        {"p50": "frame_ms.p50", "p99": "frame_ms.p99", "max": "frame_ms.max"},
    ),
    limits=("broker",),
)
