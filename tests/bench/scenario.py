"""What a scenario is, and what it is given."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.options import Options, Value
from bench.pipeline import Pipeline
from bench.plot import Axis
from bench.table import Column

START_SECONDS = 8
"""What starting and stopping a pipeline takes, about."""
STEP_SECONDS = 8
"""What a run takes besides its load: connecting, the last flush, counting."""

RUN = (
    Column("sent/s", "sent_rate"),
    Column("held", "held"),
    Column("rows missing", "rows_missing"),
    Column("twice", "rows_twice"),
    Column("frames missing", "frames_missing"),
    Column("twice", "frames_twice"),
)
FRAME = tuple(Column(f"frame {name} ms", f"frame_ms.{name}", 1) for name in ("p50", "p95", "p99", "max"))
COMMIT = tuple(Column(f"commit {name} ms", f"commit_ms.{name}") for name in ("p50", "p99", "max"))
PARTS = ("nats", "ingest", "writer", "broadcaster", "mosquitto", "postgres")
COSTS = (
    Column("pipeline us", "pipeline_us", 1),
    Column("x Mosquitto", "broker_ratio", 2),
    *(Column(f"{part} us", f"cpu_us.{part}", 1) for part in PARTS),
)
MEMORY = tuple(Column(f"{part} MB", f"memory_mb.{part}") for part in PARTS)
CEILING = (Column("load ceiling/s", "load_ceiling"), Column("others %", "others_percent"))


class Plot(NamedTuple):
    """A line per key of a row, over the key `x`; `series` is heading: key."""

    x: str
    across: Axis
    up: Axis
    series: Mapping[str, str]


class Panels(NamedTuple):
    """Several plots over the key `x` of the records, one below the other: an axis and its lines each."""

    x: str
    across: Axis
    plots: Sequence[tuple[Axis, Mapping[str, str]]]


class Bench:
    """One scenario under way: its options, a folder of its own, and whom it tells what it does."""

    def __init__(self, name: str, options: Options, folder: Path, expected: float) -> None:
        self.options = options
        self.folder = folder
        self._name = name
        self._expected = expected
        self._started = time.monotonic()
        self._pipelines = 0
        self.summary: dict[str, float] = {}
        """Figures of the scenario as a whole, shown below the table."""
        self.records: list[dict] = []
        """What was recorded all along, for JSON and `Panels`,"""
        self.events: list[dict] = []
        """and what was done meanwhile: `minute` and `what`."""

    def say(self, step: str) -> None:
        """Tell the terminal what happens now."""
        spent = time.monotonic() - self._started
        print(f"  {spent:5.0f} s of about {self._expected:.0f} s  {self._name}: {step}", file=sys.stderr, flush=True)

    @contextmanager
    def pipeline(self, **options) -> Iterator[Pipeline]:
        """A pipeline of its own, warm, while the context lasts."""
        self.say("starting the pipeline")
        self._pipelines += 1
        pipeline = Pipeline(self.folder / f"pipeline-{self._pipelines}", **options)
        try:
            pipeline.start()
            yield pipeline
        finally:
            pipeline.stop()


class Scenario(NamedTuple):
    """A named measurement. `brief` are the options of `make bench` without a scenario; `seconds` estimates the time."""

    about: str
    defaults: Mapping[str, Value]
    brief: Mapping[str, Value]
    seconds: Callable[[Options], float]
    run: Callable[[Bench], list[dict]]
    columns: Sequence[Column]
    plot: Plot | Panels
    limits: Sequence[str] = ()
