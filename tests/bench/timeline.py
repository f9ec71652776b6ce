"""What is done to a pipeline in the course of a run, planned from a seed, and what is recorded meanwhile."""

import random
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import NamedTuple

from bench.measure import MICROS
from bench.pipeline import Pipeline
from bench.usage import SHARED, descriptors, on_disk, resident

KILLED = ("ingest", "writer", "broadcaster", "nats", "postgres")
DOWN_SECONDS = (0, 0, 1, 3)
"""How long a killed part stays away: one of these."""
CALM_SECONDS = 60.0
"""At the end nothing is done, or in the last tenth of a shorter run."""
SECOND = "writer-2"
"""The writer that comes and goes."""
LAG = "seve_writer_consumer_lag_messages"


class Step(NamedTuple):
    """What to `do` to a part `at` seconds since the start: `kill` (away for `down` seconds), `start` or `stop`."""

    at: float
    do: str
    part: str
    down: float = 0


def plan(seed: int, seconds: float, kill_every: float, day: float) -> list[Step]:
    """Kills, each part once before one has its second, about `kill_every` seconds apart; and a second writer in the
    middle third of each day.
    """
    dice, steps, last = random.Random(seed), [], seconds - min(CALM_SECONDS, seconds / 10)
    turn: list[str] = []
    at = kill_every * dice.uniform(0.5, 1)
    while at < last:
        turn = turn or dice.sample(KILLED, len(KILLED))
        steps.append(Step(at, "kill", turn.pop(), dice.choice(DOWN_SECONDS)))
        at += kill_every * dice.uniform(0.75, 1.25)
    for number in range(int(seconds / day + 0.01)):
        steps += [Step((number + 1 / 3) * day, "start", SECOND), Step((number + 2 / 3) * day, "stop", SECOND)]
    return sorted(steps)


class Timeline:
    """Does the steps and keeps records every `every` seconds, until the load is over. `say` is told each minute."""

    def __init__(self, pipeline: Pipeline, steps: list[Step], every: float, say: Callable[[str], None]) -> None:
        self._pipeline = pipeline
        self._steps = steps
        self._every = every
        self._say = say
        self._resting = {SECOND}
        self.started = 0
        """Microseconds since 1970."""
        self.records: list[dict] = []
        self.events: list[dict] = []
        self.ended: list[str] = []
        """Parts that ended by themselves; they are started again, as a supervisor does."""

    def run(self, load: Future) -> None:
        """Until the load is over."""
        began, self.started = time.monotonic(), time.time_ns() // 1000
        due, steps = 0.0, list(self._steps)
        while not load.done():
            now = time.monotonic() - began
            while steps and steps[0].at <= now:
                self._do(steps.pop(0), now / 60)
            if now >= due:
                self.records.append({"minute": now / 60} | self._look())
                self._tell(len(self.records))
                due = now + self._every
            self._tend(now / 60)
            time.sleep(0.1)

    def _do(self, step: Step, minute: float) -> None:
        self.events.append({"minute": minute, "what": f"{step.do} {step.part}"})
        self._say(f"{step.do} {step.part}")
        if step.do == "stop":
            self._resting.add(step.part)
            self._pipeline.terminate(step.part)
            return
        if step.do == "kill":
            self._pipeline.kill(step.part)
            time.sleep(step.down)
        self._resting.discard(step.part)
        self._launch(step.part, minute)

    def _tend(self, minute: float) -> None:
        for part in ("nats", "postgres", *self._pipeline.services):
            if part not in self._resting and self._pipeline.gone(part):
                self.ended.append(part)
                self.events.append({"minute": minute, "what": f"{part} ended"})
                self._say(f"{part} ended by itself\n{self._pipeline.tail(part)}")
                self._launch(part, minute)

    def _launch(self, part: str, minute: float) -> None:
        """Start a part; one that is not ready in time goes on all the same, and an event says so."""
        try:
            self._pipeline.launch(part)
        except AssertionError as error:
            self.events.append({"minute": minute, "what": f"{part} late"})
            self._say(f"{part}: {error}")

    def _look(self) -> dict:
        pipeline, database = self._pipeline, self._pipeline.postgres.folder / "data"
        processes = pipeline.processes
        wal = on_disk(database / "pg_wal")
        found = {
            "at": time.time_ns() // 1000,
            "pids": processes,
            "memory_mb": {part: resident(pid, proportional=part in SHARED) / MICROS for part, pid in processes.items()},
            "descriptors": {part: descriptors(pid) for part, pid in processes.items()},
            "disk_mb": {
                "journal": on_disk(pipeline.nats.folder) / MICROS,
                "database": (on_disk(database) - wal) / MICROS,
                "WAL": wal / MICROS,
            },
        }
        with suppress(OSError):  # the writer is away
            found["backlog"] = pipeline.metrics("writer").get(LAG)
        return found

    def _tell(self, count: int) -> None:
        if count % max(1, round(60 / self._every)):
            return
        newest = self.records[-1]
        memory = ", ".join(f"{part} {size:.0f}" for part, size in newest["memory_mb"].items())
        self._say(f"waiting in the journal: {newest.get('backlog')}; MB: {memory}")


def lives(records: list[dict], part: str, settling: float) -> list[list[tuple[float, dict]]]:
    """The records of each process that a part had, with their minutes; without the first `settling` seconds of each."""
    found: dict[int, list[tuple[float, dict]]] = {}
    for record in records:
        if part in record["pids"]:
            found.setdefault(record["pids"][part], []).append((record["minute"], record))
    return [[point for point in life if point[0] >= life[0][0] + settling / 60] for life in found.values()]


def slope(lines: list[list[tuple[float, float]]]) -> float | None:
    """Least squares over several lines that begin at heights of their own: how much the second grows with the first."""
    up = along = 0.0
    for points in lines:
        if len(points) > 1:
            middle_x = sum(x for x, _ in points) / len(points)
            middle_y = sum(y for _, y in points) / len(points)
            up += sum((x - middle_x) * (y - middle_y) for x, y in points)
            along += sum((x - middle_x) ** 2 for x, _ in points)
    return up / along if along else None
