"""One run: a load, screens beside it, and what became of each sample. Everything a table shows comes from here."""

import json
import os
import subprocess
import sys
import tempfile
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from seve_fleet.load.samples import SENSORS

from bench.pipeline import SERVICES, Pipeline
from bench.rows import accounted, commit_times, verdict, wait_stored
from bench.usage import Usage

KEPT_PACE = 1.02
"""A load held its rate if it took no longer than this share of the time planned."""
MICROS = 1e6
INTRODUCING = 5000
"""Samples per second at which series are introduced."""
LAST_BATCHES = 200
"""Samples whose commit is left out: nothing follows that fills their batch, so they wait for FLUSH_INTERVAL."""


class LoadSpec(NamedTuple):
    """What to publish and who watches. Modules are named `load-00000` and so on. Without clients
    nobody does; `arrive` is a fleet that connects at once and reports every `report_every` seconds, if that is not 0.
    The rate swings by the share `swing` once per `day` seconds.
    """

    rate: float
    seconds: float
    modules: int = 2000
    connections: int = 4
    form: str = "bare"
    arrive: bool = False
    report_every: float = 0
    swing: float = 0
    day: float = 0
    clients: int = 1
    query: str = "module=*"
    patience: float = 60


class Screens:
    """WebSocket clients in a process of their own, live when made."""

    def __init__(
        self, url: str, log: Path, clients: int, first: int, count: int, patience: float = 20, *further: str
    ) -> None:
        self._log = log
        options = [f"--clients={clients}", f"--first={first}", f"--count={count}", f"--log={log}", *further]
        command = [sys.executable, "-m", "seve_fleet.load.watcher", url, f"--patience={patience}", *options]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self._process.stdout.readline() != "live\n":
            raise RuntimeError("the screens did not connect")

    def result(self, sent: int) -> dict:
        """What they saw, once that was `sent` samples each, or nothing more comes."""
        out, _ = self._process.communicate(f"{sent}\n", timeout=600)
        return json.loads(out.splitlines()[-1])

    def arrivals(self) -> list[tuple[int, int]]:
        """Number of each sample seen, and when (microseconds since 1970)."""
        log = array("q", self._log.read_bytes())
        return list(zip(log[::2], log[1::2], strict=True))

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


def publish(url: str, spec: LoadSpec, log: Path, first: int) -> dict:
    """Run the load to its end; what came of it. Raises RuntimeError, with its words, for one that broke off."""
    shown = {"rate": spec.rate, "seconds": spec.seconds, "modules": spec.modules, "connections": spec.connections}
    shown |= {"form": spec.form, "first": first, "log": log, "report-every": spec.report_every}
    shown |= {"swing": spec.swing, "day": spec.day}
    options = [f"--{name}={value}" for name, value in shown.items()] + ["--arrive"] * spec.arrive
    command = [sys.executable, "-m", "seve_fleet.load.publisher", url, *options]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=spec.seconds * 5 + 300)
    if not done.stdout:
        raise RuntimeError(done.stderr.strip())
    return json.loads(done.stdout.splitlines()[-1])


class Run(NamedTuple):
    """A load that is over: what the load and the screens said, when each sample was sent, seen and committed
    (microseconds since 1970, with its number), what the table holds, and what the parts used.
    """

    spec: LoadSpec
    load: dict
    seen: dict | None
    sent: array
    arrivals: list[tuple[int, int]]
    commits: list[tuple[int, int]]
    counted: dict
    usage: Usage


def observed(pipeline: Pipeline, spec: LoadSpec) -> Run:
    """Publish, watch, wait until all is stored, count."""
    count = round(spec.rate * spec.seconds)
    first = pipeline.number(count)
    before = accounted(pipeline)
    with tempfile.TemporaryDirectory() as folder, screened(pipeline, Path(folder), spec, first) as screens:
        log = Path(folder) / "sent"
        with Usage(pipeline.processes) as usage:
            load = publish(pipeline.mqtt_url, spec, log, first)
            seen = screens.result(load["sent"]) if screens else None
            wait_stored(pipeline, first, count, load["sent"], before=before, patience=spec.patience)
        return Run(
            spec,
            load,
            seen,
            array("q", log.read_bytes()),
            screens.arrivals() if screens else [],
            commit_times(pipeline, first, count),
            verdict(pipeline, first, count, load),
            usage,
        )


def introduce(pipeline: Pipeline, modules: int) -> None:
    """Publish each series once, and wait until it is stored. The first sample of a series costs several times as
    much as the others; what is measured after this is a fleet that has been seen.
    """
    observed(pipeline, LoadSpec(INTRODUCING, introducing_seconds(modules), modules))


def introducing_seconds(modules: int) -> float:
    """How long `introduce` publishes."""
    return modules * len(SENSORS) / INTRODUCING


@contextmanager
def screened(pipeline: Pipeline, folder: Path, spec: LoadSpec, first: int) -> Iterator[Screens | None]:
    """The screens of a run, stopped after it."""
    if not spec.clients:
        yield None
        return
    url, count = f"{pipeline.ws_url}?{spec.query}", round(spec.rate * spec.seconds)
    screens = Screens(url, folder / "seen", spec.clients, first, count, spec.patience)
    try:
        yield screens
    finally:
        screens.close()


def filled(pipeline: Pipeline, rows: int, modules: int, rate: int) -> tuple[int, dict]:
    """Leave so many samples in the journal while no writer runs: the first one's number, and what the load says.

    A screen says when the journal holds them all, which is later than the broker's acknowledgement.
    """
    spec = LoadSpec(rate, rows / rate, modules, query="module=*&batch=1")
    first = pipeline.number(rows)
    with tempfile.TemporaryDirectory() as folder, screened(pipeline, Path(folder), spec, first) as screens:
        load = publish(pipeline.mqtt_url, spec, Path(folder) / "sent", first)
        screens.result(load["sent"])
    return first, load


def measured(pipeline: Pipeline, spec: LoadSpec) -> dict:
    """A run as a row of figures."""
    run = observed(pipeline, spec)
    return (
        _load_figures(spec, run.load)
        | run.counted
        | (_frame_figures(run) if run.seen else {})
        | _commit_figures(run.commits, run.sent)
        | costs(run.usage, run.load["sent"])
        | {"others_percent": _others(run)}
    )


def _others(run: Run) -> float:
    """The share of the machine that was spent on something else than this measurement: its noise."""
    screens = run.seen["cpu_seconds"] if run.seen else 0.0
    ours = sum(run.usage.cpu.values()) + run.load["cpu_seconds"] + screens
    return max(0.0, run.usage.busy - ours) / run.usage.seconds / len(os.sched_getaffinity(0)) * 100


def costs(usage: Usage, samples: int) -> dict:
    """CPU time per sample (microseconds) of each part, of the pipeline, and as multiple of Mosquitto's; memory (MB)."""
    spent = {part: seconds / samples * MICROS for part, seconds in usage.cpu.items()}
    pipeline = sum(value for part, value in spent.items() if part.split("-")[0] in SERVICES)
    broker = spent.get("mosquitto")
    return {
        "cpu_us": spent,
        "pipeline_us": pipeline,
        "broker_ratio": pipeline / broker if broker else None,
        "memory_mb": {part: size / MICROS for part, size in usage.peak.items()},
        "memory_start_mb": {part: series[0][1] / MICROS for part, series in usage.series.items()},
    }


def percentiles(values: Iterable[float]) -> dict[str, float | None]:
    """p50, p95, p99 and the greatest; None where there is nothing."""
    ranked = sorted(values)
    places = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    if not ranked:
        return dict.fromkeys([*places, "max"])
    return {name: ranked[int((len(ranked) - 1) * place)] for name, place in places.items()} | {"max": ranked[-1]}


def _load_figures(spec: LoadSpec, load: dict) -> dict:
    return {
        "rate": spec.rate,
        "modules": spec.modules,
        "connections": spec.connections,
        "form": spec.form,
        "sent": load["sent"],
        "sent_rate": load["sent"] / load["seconds"],
        "held": load["seconds"] <= max(load["planned"] * KEPT_PACE, load["planned"] + 0.05),
        "unacknowledged": load["sent"] - load["acknowledged"],
        "load_ceiling": load["ceiling"],
        "connecting_s": load["connecting"],
        "reports": load["reports"],
        "reconnects": load["reconnects"],
        "repeated": len(load["repeated"]),
    }


def _frame_figures(run: Run) -> dict:
    seen, arrivals, sent = run.seen, run.arrivals, run.sent
    expected, repeated = len(sent) * seen["clients"], set(run.load["repeated"])
    return {
        "frames_missing": expected - seen["seen"],
        "frames_twice": sum(number not in repeated for number in seen["repeated"]),
        "gaps": seen["gaps"],
        "skips": seen["skipped"],
        "clients_lost": seen["lost"],
        "screens_us": seen["cpu_seconds"] / max(expected, 1) * MICROS,
        "frame_ms": percentiles((at - sent[number]) / 1000 for number, at in arrivals),
        "frame_lag_s": (max(at for _, at in arrivals) - sent[-1]) / MICROS if arrivals else None,
    }


def _commit_figures(commits: list[tuple[int, int]], sent: array) -> dict:
    followed = len(sent) - LAST_BATCHES
    return {
        "commit_ms": percentiles((at - sent[number]) / 1000 for number, at in commits if number < followed),
        "commit_lag_s": (max(at for _, at in commits) - sent[-1]) / MICROS if commits else None,
    }


def machine() -> dict:
    """What a reader has to know of the machine to compare figures."""
    model = next((line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "")
    memory = int(_lines("/proc/meminfo")[0].split()[1]) // 1024
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": model,
        "memory_mb": memory,
        "kernel": os.uname().release,
        "python": sys.version.split()[0],
        "load_before": os.getloadavg()[0],
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()
