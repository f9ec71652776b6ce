"""`soak`: a fleet over hours, with days and nights, kills, a writer that comes and goes, and screens that do.

Records memory, descriptors, disk and backlog all along; gives the account, the audit, and the slopes of memory and
descriptors over the lives of each process.
"""

import secrets
import tempfile
from array import array
from bisect import bisect_left, bisect_right
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from support.conditions import wait_until
from support.ledger import audit

from bench.measure import MICROS, LoadSpec, Screens, percentiles, publish
from bench.options import Options
from bench.pipeline import Pipeline
from bench.plot import Axis
from bench.rows import accounted, commit_times, verdict, wait_stored
from bench.scenario import PARTS, START_SECONDS, STEP_SECONDS, Bench, Panels, Scenario
from bench.table import Column
from bench.timeline import SECOND, Step, Timeline, lives, plan, slope

WINDOWS = 20
SETTLING_SECONDS = 120.0
"""Of each process's life, or a tenth of a shorter run: caches fill, the fleet connects."""
RECORDS = 720
MOST_SECONDS = 60.0
"""Between two records."""
VISIT_SECONDS = 20.0
PATIENCE_SECONDS = 120.0
ALL = (*PARTS, SECOND, "history")


def run(bench: Bench) -> list[dict]:
    options = bench.options
    seconds, seed = options.hours * 3600, options.seed or secrets.randbelow(2**31)
    steps = plan(seed, seconds, options.kill_every, seconds / options.days)
    bench.say(f"SEED={seed}: {sum(step.do == 'kill' for step in steps)} kills")
    with bench.pipeline(broker=options.broker, writers=2) as pipeline:
        pipeline.terminate(SECOND)
        done = soaked(bench, pipeline, steps, seconds)
    bench.records, bench.events = done.records, done.events
    return done.rows


class Soaked:
    """A run that is over: rows for the table, records and events."""

    def __init__(self, timeline: Timeline, sent: array, arrivals: list, commits: list) -> None:
        self.records, self.events, self._started = timeline.records, timeline.events, timeline.started
        bounds = [record["at"] for record in self.records]
        for record, found in zip(self.records, between(bounds, sent, arrivals, commits), strict=True):
            record.update(found)
        last = max(bounds[-1], sent[-1] if sent else 0) + 1
        width = (last - timeline.started) / WINDOWS
        starts = [timeline.started + round(number * width) for number in range(WINDOWS)]
        self.rows = [
            {"minute": (start + width - timeline.started) / MICROS / 60}
            | latencies
            | self._within(start, start + width)
            for start, latencies in zip(starts, between(starts, sent, arrivals, commits), strict=True)
        ]

    def _within(self, start: float, end: float) -> dict:
        """What was recorded in a window: most of what waited, the last of everything else, and what was done."""
        found = [record for record in self.records if start <= record["at"] < end]
        if not found:
            return {}
        minutes = [(moment - self._started) / MICROS / 60 for moment in (start, end)]
        done = [event["what"] for event in self.events if minutes[0] <= event["minute"] < minutes[1]]
        keys = ("memory_mb", "descriptors", "disk_mb")
        return {
            "backlog": max((record.get("backlog") or 0 for record in found), default=0),
            **{key: found[-1][key] for key in keys},
            "done": ", ".join(done) or None,
        }


def soaked(bench: Bench, pipeline: Pipeline, steps: list[Step], seconds: float) -> Soaked:
    options, count = bench.options, round(bench.options.rate * seconds)
    spec = LoadSpec(
        options.rate,
        seconds,
        options.modules,
        options.modules,
        "mixed",
        arrive=True,
        report_every=options.report_every,
        swing=options.swing,
        day=seconds / options.days,
        patience=PATIENCE_SECONDS,
    )
    first, before = pipeline.number(count), accounted(pipeline)
    url = f"{pipeline.ws_url}?{spec.query}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        staying = Screens(url, folder / "seen", 1, first, count, spec.patience, "--resume")
        visitors = Screens(f"{url}&batch=1", folder / "visits", options.visitors, 0, 0, 1, f"--stay={VISIT_SECONDS}")
        timeline = Timeline(pipeline, steps, min(MOST_SECONDS, max(1.0, seconds / RECORDS)), bench.say)
        try:
            with ThreadPoolExecutor(1) as elsewhere:
                publishing = elsewhere.submit(publish, pipeline.mqtt_url, spec, folder / "sent", first)
                timeline.run(publishing)
            load, seen, visits = publishing.result(), staying.result(publishing.result()["sent"]), visitors.result(0)
            bench.say("counting")
            wait_stored(pipeline, first, count, load["sent"], before=before, patience=spec.patience)
            with suppress(AssertionError):  # the audit says what waits
                wait_until(lambda: audit(pipeline).findings[-1].waiting == 0, "everything written", spec.patience)
            bench.summary = account(load, seen, visits, verdict(pipeline, first, count, load), timeline)
            bench.summary |= audited(pipeline) | slopes(timeline, seconds)
            commits = commit_times(pipeline, first, count)
            return Soaked(timeline, array("q", (folder / "sent").read_bytes()), staying.arrivals(), commits)
        finally:
            staying.close()
            visitors.close()


def account(load: dict, seen: dict, visits: dict, counted: dict, timeline: Timeline) -> dict[str, float]:
    """Sent, stored, twice, lost; seen by the screen that stayed; and what happened beside it."""
    repeated = set(load["repeated"])
    return {
        "samples sent": load["sent"],
        "never acknowledged": load["sent"] - load["acknowledged"],
        "stored": load["sent"] - counted["rows_missing"],
        "lost": counted["rows_missing"],
        "twice": counted["rows_twice"],
        "sent again by devices": len(repeated),
        "reports": load["reports"],
        "reconnections of devices": load["reconnects"],
        "frames missing": load["sent"] - seen["seen"],
        "frames twice": sum(number not in repeated for number in seen["repeated"]),
        "gaps told": seen["gaps"],
        "connections of the screen lost": seen["lost"],
        "visits of screens": visits["lost"],
        "kills": sum(event["what"].startswith("kill") for event in timeline.events),
        "ended by themselves": len(timeline.ended),
    }


def audited(pipeline: Pipeline) -> dict[str, float]:
    """The audit, in sequences of the journal and rows of the ledger."""
    found = audit(pipeline)
    return {
        "audit: accounted": found.findings[-1].accounted,
        "audit: waiting": found.findings[-1].waiting,
        "audit: lost": found.lost,
        "audit: unbalanced rows": found.unbalanced_rows,
        "audit: sound": found.sound,
    }


def slopes(timeline: Timeline, seconds: float) -> dict[str, float]:
    """Memory (MB) and descriptors per hour of each part, over the lives of its processes."""
    found = {}
    for key, unit in (("memory_mb", "MB per hour"), ("descriptors", "descriptors per hour")):
        for part in ALL:
            stretches = lives(timeline.records, part, min(SETTLING_SECONDS, seconds / 10))
            grown = slope([[(minute, record[key][part]) for minute, record in life] for life in stretches])
            if grown is not None:
                found[f"{part} {unit}"] = grown * 60
    return found


def between(starts: list[int], sent: array, arrivals: list, commits: list) -> list[dict]:
    """Samples sent per second from each of `starts` (microseconds since 1970) to the next, and their latencies (ms)."""
    latencies: dict[str, list[list[float]]] = {"frame_ms": [[] for _ in starts], "commit_ms": [[] for _ in starts]}
    for key, found in (("frame_ms", arrivals), ("commit_ms", commits)):
        for number, at in found:
            if (place := bisect_right(starts, sent[number]) - 1) >= 0:
                latencies[key][place].append((at - sent[number]) / 1000)
    ends = [*starts[1:], sent[-1] + 1 if sent else 0]
    return [
        {
            "sent_rate": (bisect_left(sent, end) - bisect_left(sent, start)) / max(1 / MICROS, (end - start) / MICROS),
            "frame_ms": percentiles(latencies["frame_ms"][place]),
            "commit_ms": percentiles(latencies["commit_ms"][place]),
        }
        for place, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]


def seconds(options: Options) -> float:
    return START_SECONDS + options.hours * 3600 + STEP_SECONDS


def _lines(key: str, names: tuple[str, ...]) -> dict[str, str]:
    return {name: f"{key}.{name}" for name in names}


SCENARIO = Scenario(
    about="a fleet for HOURS, in DAYS days of RATE +- SWING, a kill every KILL_EVERY s: what grows, and the account",
    defaults={
        "HOURS": 1.0,
        "RATE": 300,
        "SWING": 0.4,
        "DAYS": 6,
        "MODULES": 2000,
        "REPORT_EVERY": 60,
        "VISITORS": 8,
        "KILL_EVERY": 240.0,
        "SEED": 0,
        "BROKER": "nats",
    },
    brief={"HOURS": 0.01, "DAYS": 1, "MODULES": 200, "KILL_EVERY": 8.0},
    seconds=seconds,
    run=run,
    columns=(
        Column("minute", "minute", 1),
        Column("sent/s", "sent_rate"),
        *(Column(f"{what} {name} ms", f"{what}_ms.{name}") for what in ("frame", "commit") for name in ("p50", "p99")),
        Column("backlog", "backlog"),
        Column("done", "done"),
        *(Column(f"{part} MB", f"memory_mb.{part}") for part in ALL),
        *(Column(f"{part} fds", f"descriptors.{part}") for part in ALL),
        *(Column(f"{name} MB", f"disk_mb.{name}") for name in ("journal", "database", "WAL")),
    ),
    plot=Panels(
        "minute",
        Axis("minutes"),
        (
            (Axis("samples sent per second"), {"sent": "sent_rate"}),
            (Axis("publish to frame, ms", log=True), _lines("frame_ms", ("p50", "p99"))),
            (Axis("publish to row, ms", log=True), _lines("commit_ms", ("p50", "p99"))),
            (Axis("messages waiting in the journal"), {"backlog": "backlog"}),
            (Axis("memory, MB"), _lines("memory_mb", ALL)),
            (Axis("descriptors", log=True), _lines("descriptors", ALL)),
            (Axis("disk, MB"), _lines("disk_mb", ("journal", "database", "WAL"))),
        ),
    ),
)
