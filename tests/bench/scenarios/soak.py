"""`soak`: one rate for minutes. Slopes of memory and latency, by least squares over the windows behind the first."""

from bench.measure import MICROS, LoadSpec, Run, costs, observed, percentiles
from bench.options import Options
from bench.plot import Axis
from bench.scenario import FRAME, MEMORY, PARTS, START_SECONDS, STEP_SECONDS, Bench, Plot, Scenario
from bench.table import Column

WINDOWS = 20
HOUR_MINUTES = 60


def run(bench: Bench) -> list[dict]:
    options = bench.options
    with bench.pipeline(broker=options.broker) as pipeline:
        bench.say(f"{options.rate:,} samples per second for {options.minutes} minutes")
        done = observed(pipeline, LoadSpec(options.rate, options.minutes * 60, options.modules, form=options.form))
    rows = windows(done)
    bench.summary = done.counted | {"samples": done.load["sent"], "frames": done.seen["seen"]}
    bench.summary |= {"pipeline us": costs(done.usage, done.load["sent"])["pipeline_us"]}
    keys = {f"{part} MB per hour": f"memory_mb.{part}" for part in PARTS} | {"p99 ms per hour": "frame_ms.p99"}
    for name, key in keys.items():
        outer, inner = key.split(".")
        points = [(row["minute"], row[outer][inner]) for row in rows[1:] if row[outer].get(inner) is not None]
        if len(points) > 1:
            bench.summary[name] = slope(points) * HOUR_MINUTES
    return rows


def windows(done: Run) -> list[dict]:
    """Latency and memory by stretches of the run."""
    start, width = done.sent[0], (done.sent[-1] - done.sent[0]) / WINDOWS + 1
    latencies: list[list[float]] = [[] for _ in range(WINDOWS)]
    for number, at in done.arrivals:
        latencies[int((done.sent[number] - start) / width)].append((at - done.sent[number]) / 1000)
    rows = []
    for number, window in enumerate(latencies):
        begin, end = number * width / MICROS, (number + 1) * width / MICROS
        memory = {
            part: max(sizes) / MICROS
            for part, series in done.usage.series.items()
            if (sizes := [size for at, size in series if begin <= at < end])
        }
        rows.append({"minute": end / 60, "frame_ms": percentiles(window), "memory_mb": memory})
    return rows


def slope(points: list[tuple[float, float]]) -> float:
    """Least squares: how much the second grows with the first."""
    middle_x = sum(x for x, _ in points) / len(points)
    middle_y = sum(y for _, y in points) / len(points)
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / spread if spread else 0.0


def seconds(options: Options) -> float:
    return START_SECONDS + options.minutes * 60 + STEP_SECONDS


SCENARIO = Scenario(
    about="RATE for MINUTES: the slope of memory and latency",
    defaults={"MINUTES": 10.0, "RATE": 5000, "MODULES": 2000, "FORM": "bare", "BROKER": "mosquitto"},
    brief={"MINUTES": 0.25, "RATE": 1000},
    seconds=seconds,
    run=run,
    columns=(Column("minute", "minute", 1), *FRAME, *MEMORY),
    plot=Plot("minute", Axis("minutes"), Axis("MB"), {part: f"memory_mb.{part}" for part in PARTS}),
    limits=("broker",),
)
