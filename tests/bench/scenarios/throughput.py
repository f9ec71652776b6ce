"""`throughput`: the highest rate that is held, found by search. Held means: the load kept its pace, every sample is one
row and one frame, and the backlog did not grow, which shows in how soon the last row and the last frame came.
"""

from bench.measure import LoadSpec, measured
from bench.options import Options
from bench.pipeline import Pipeline
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

FLUSH_SECONDS = 5.0
"""The writer's FLUSH_INTERVAL, which a row may wait anyway."""
GROWTH = 0.02
"""The share of a run by which the last frame may be late before the backlog counts as growing ..."""
LEAST_LAG = 0.3
"""... and the lag that any run may have, seconds."""
STEPS = 4
"""Halvings between a rate that was held and one that was not: a sixteenth of the distance is left."""
BACK_OFF = 0.95
CONFIRMATIONS = 8
"""Runs for the whole time, at most; where none holds, nothing is confirmed."""


def flat(row: dict, seconds: float) -> bool:
    """Whether the rate of a run was held."""
    lag = max(LEAST_LAG, seconds * GROWTH)
    counted = row["rows_missing"] == row["rows_twice"] == row["frames_missing"] == row["frames_twice"] == 0
    in_time = row["frame_lag_s"] <= lag and row["commit_lag_s"] <= FLUSH_SECONDS + lag if row["sent"] else False
    return bool(row["held"] and not row["unacknowledged"] and counted and in_time)


class Search:
    """Runs at one number of modules."""

    def __init__(self, bench: Bench, pipeline: Pipeline, modules: int) -> None:
        self._bench = bench
        self._pipeline = pipeline
        self._modules = modules
        self.rows: list[dict] = []

    def holds(self, rate: float, seconds: float) -> bool:
        self._bench.say(f"{self._modules:,} modules, {rate:,.0f} samples per second for {seconds:g} s")
        options = self._bench.options
        row = measured(self._pipeline, LoadSpec(rate, seconds, self._modules, options.connections, options.form))
        row |= {"seconds": seconds, "flat": flat(row, seconds), "confirmed": False}
        self.rows.append(row)
        return row["flat"]

    def run(self) -> list[dict]:
        """Find a rate with short runs, then confirm it for the whole time; step down until that succeeds."""
        rate, seconds = self._probe(), self._bench.options.seconds
        for _ in range(CONFIRMATIONS):
            if self.holds(rate, seconds):
                self.rows[-1]["confirmed"] = True
                break
            rate *= BACK_OFF
        return self.rows

    def _probe(self) -> float:
        """Double, or halve, until a rate that holds has one above it that does not; then halve the interval."""
        options = self._bench.options
        held = lost = float(options.start)
        if self.holds(held, options.probe):
            while lost < options.most and self.holds(lost := lost * 2, options.probe):
                held = lost
        else:
            while held > options.least and not self.holds(held := held / 2, options.probe):
                lost = held
        for _ in range(STEPS if held < lost else 0):
            middle = (held + lost) / 2
            held, lost = (middle, lost) if self.holds(middle, options.probe) else (held, middle)
        return held


def run(bench: Bench) -> list[dict]:
    options, rows = bench.options, []
    for modules in options.modules:
        with bench.pipeline(broker=options.broker) as pipeline:
            rows += Search(bench, pipeline, modules).run()
    best = {row["modules"]: row["rate"] for row in rows if row["confirmed"]}
    for row in rows:
        if row["confirmed"] and best.get(min(options.modules)):
            row["share"] = row["rate"] / best[min(options.modules)]
    return rows


def seconds(options: Options) -> float:
    probes = 4 + STEPS
    confirmed = 2 * (options.seconds + STEP_SECONDS * 2)
    return len(options.modules) * (START_SECONDS + probes * (options.probe + STEP_SECONDS) + confirmed)


SCENARIO = Scenario(
    about="the highest rate held for SECONDS, by search; every sample counted as row and frame",
    defaults={
        "SECONDS": 60,
        "PROBE": 8,
        "START": 5000,
        "LEAST": 500,
        "MOST": 160_000,
        "MODULES": (50, 2000),
        "CONNECTIONS": 4,
        "FORM": "bare",
        "BROKER": "mosquitto",
    },
    brief={"SECONDS": 10, "PROBE": 3, "START": 8000, "MODULES": (2000,)},
    seconds=seconds,
    run=run,
    columns=(
        Column("modules", "modules"),
        Column("rate", "rate"),
        Column("seconds", "seconds"),
        Column("flat", "flat"),
        Column("confirmed", "confirmed"),
        Column("of the fewest", "share", 2),
        *RUN,
        Column("last frame s", "frame_lag_s", 1),
        Column("last row s", "commit_lag_s", 1),
        *FRAME,
        *COSTS,
        *MEMORY,
        *CEILING,
    ),
    plot=Plot(
        "rate",
        Axis("samples per second"),
        Axis("last frame after the last sample, seconds"),
        {"last frame": "frame_lag_s", "last row": "commit_lag_s"},
    ),
    limits=("broker", "journal", "copy"),
)
