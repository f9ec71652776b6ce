"""`fanout`: one module to ever more WebSocket clients, FRAMES per second in all; what an idle client costs."""

from bench.measure import LoadSpec, measured
from bench.options import Options
from bench.plot import Axis
from bench.scenario import FRAME, RUN, START_SECONDS, STEP_SECONDS, Bench, Plot, Scenario
from bench.table import Column
from bench.usage import resident

CONNECTS_PER_SECOND = 700


def run(bench: Bench) -> list[dict]:
    options, rows = bench.options, []
    for clients in options.clients:
        with bench.pipeline(broker=options.broker) as pipeline:  # its own: memory that clients left would hide theirs
            rate = max(1, options.frames // clients)
            bench.say(f"{clients:,} clients, {rate:,} samples per second to each for {options.seconds} s")
            before = resident(pipeline.pid("broadcaster")) / 1e6
            spec = LoadSpec(rate, options.seconds, modules=1, clients=clients, query="module=load-00000")
            row = measured(pipeline, spec)
            row["clients"] = clients
            row["frames_per_second"] = row["sent_rate"] * clients
            row["frame_us"] = row["cpu_us"]["broadcaster"] / clients
            row["bytes_per_client"] = (row["memory_start_mb"]["broadcaster"] - before) * 1e6 / clients
            rows.append(row)
    return rows


def seconds(options: Options) -> float:
    connecting = sum(options.clients) / CONNECTS_PER_SECOND
    return connecting + len(options.clients) * (START_SECONDS + options.seconds + STEP_SECONDS)


SCENARIO = Scenario(
    about="one module to each number of CLIENTS, FRAMES per second in all; bytes per idle client",
    defaults={"CLIENTS": (10, 100, 1000, 10_000), "FRAMES": 20_000, "SECONDS": 10, "BROKER": "mosquitto"},
    brief={"CLIENTS": (10, 500), "SECONDS": 4},
    seconds=seconds,
    run=run,
    columns=(
        Column("clients", "clients"),
        Column("frames/s", "frames_per_second"),
        Column("us a frame", "frame_us", 1),
        Column("bytes idle", "bytes_per_client"),
        Column("broadcaster MB", "memory_mb.broadcaster"),
        Column("lost", "clients_lost"),
        *RUN,
        *FRAME,
    ),
    plot=Plot(
        "clients",
        Axis("WebSocket clients", log=True),
        Axis("broadcaster CPU per frame, microseconds"),
        {"broadcaster": "frame_us"},
    ),
    limits=("frames",),
)
