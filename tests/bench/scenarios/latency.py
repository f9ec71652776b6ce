"""`latency`: from publishing to the WebSocket frame and to the commit of the row, at each rate."""

from contextlib import ExitStack

from support.raw_client import deaf

from bench.measure import LoadSpec, introduce, introducing_seconds, measured
from bench.options import Options
from bench.plot import Axis
from bench.scenario import CEILING, COMMIT, COSTS, FRAME, RUN, START_SECONDS, STEP_SECONDS, Bench, Plot, Scenario
from bench.table import Column


def run(bench: Bench) -> list[dict]:
    options, rows = bench.options, []
    with bench.pipeline(broker=options.broker) as pipeline, ExitStack() as held:
        introduce(pipeline, options.modules)
        for _ in range(options.stuck):
            held.enter_context(deaf(pipeline.ws_url, "*"))
        for rate in options.rates:
            bench.say(f"{rate:,} samples per second for {options.seconds} s")
            spec = LoadSpec(rate, options.seconds, options.modules, options.connections, options.form)
            rows.append(measured(pipeline, spec))
    return rows


def seconds(options: Options) -> float:
    return (
        START_SECONDS
        + introducing_seconds(options.modules)
        + STEP_SECONDS
        + len(options.rates) * (options.seconds + STEP_SECONDS)
    )


SCENARIO = Scenario(
    about="publish to frame and to commit at each of RATES; STUCK clients read nothing",
    defaults={
        "RATES": (100, 1000, 5000, 10_000, 20_000, 30_000, 40_000),
        "SECONDS": 10,
        "MODULES": 2000,
        "CONNECTIONS": 4,
        "FORM": "bare",
        "STUCK": 0,
        "BROKER": "mosquitto",
    },
    brief={"RATES": (100, 1000, 10_000), "SECONDS": 4},
    seconds=seconds,
    run=run,
    columns=(Column("rate", "rate"), *RUN, *FRAME, *COMMIT, *COSTS, *CEILING),
    plot=Plot(
        "rate",
        Axis("samples per second", log=True),
        Axis("milliseconds", log=True),
        {
            "frame p50": "frame_ms.p50",
            "frame p99": "frame_ms.p99",
            "frame max": "frame_ms.max",
            "commit p50": "commit_ms.p50",
            "commit p99": "commit_ms.p99",
        },
    ),
    limits=("broker",),
)
