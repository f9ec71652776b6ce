"""The writer's loop: wait until a batch is due, write it, acknowledge it. One flush at a time."""

import asyncio
import time
from collections.abc import Sequence

import structlog
from seve_runtime.errors import Stopped

from seve_writer import metrics
from seve_writer.batch import Batch, RateLimit, Waiting
from seve_writer.database.batch_writer import Writing
from seve_writer.decode import Unit, read
from seve_writer.journal.consumer import Intake
from seve_writer.journal.message import Delivery
from seve_writer.journal.monitor import Watch

log = structlog.get_logger()

WARN_EVERY = 60.0
"""Seconds between two warnings that the stream is faster than the database."""


class Flushing:
    """Takes what `intake` brings and hands it to `writing`. `watch` knows which journal it came from."""

    def __init__(self, waiting: Waiting, writing: Writing, watch: Watch) -> None:
        self._waiting = waiting
        self._writing = writing
        self._watch = watch
        self._drained = False
        self._settled: int | None = None
        self._changed = asyncio.Event()
        self._warnings = RateLimit(WARN_EVERY)

    def arrived(self, delivery: Delivery) -> None:
        """A message to write."""
        first = self._waiting.rows == 0
        self._waiting.add(read(delivery), time.monotonic())
        if first or self._waiting.full:
            self._changed.set()

    def drain(self) -> None:
        """Nothing more arrives: write what is left, and end."""
        self._drained = True
        self._changed.set()

    async def run(self, intake: Intake) -> None:
        """Flush what is due until `drain` was called and nothing is left."""
        try:
            while await self._due():
                await self._flush(intake, stopping=self._drained)
        except Stopped:
            log.warning("stopped with the database away; what was not written stays in the journal")

    async def _due(self) -> bool:
        """Wait for the next flush; False when there is none to come."""
        while True:
            self._changed.clear()
            wait = self._waiting.due_in(time.monotonic())
            if wait == 0 or self._drained:
                return wait is not None
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _flush(self, intake: Intake, *, stopping: bool) -> None:
        batch = self._waiting.take(stopping=stopping)
        try:
            began = time.monotonic()
            units = await self._ours(batch.units, intake)
            if not units:
                return
            await self._writing.write(units, self._watch.journal)
            deliveries = list({unit.delivery.sequence: unit.delivery for unit in units}.values())
            _observe(batch, deliveries, time.monotonic() - began)
            await self._present(intake)
            intake.acknowledge(deliveries)
            metrics.ACKNOWLEDGED.inc(len(deliveries))
            self._warn(batch)
        finally:
            self._waiting.flushed()

    async def _ours(self, units: Sequence[Unit], intake: Intake) -> Sequence[Unit]:
        """Those of the journal that they will be booked on. Of one that has taken its place the same sequences mean
        other messages: these are left to the next writer. Where nobody answers, what is in hand came before that.
        """
        present = await self._present(intake)
        if present in (None, self._watch.journal):
            return units
        return [unit for unit in units if unit.delivery.stored_ns < present * 1000]

    async def _present(self, intake: Intake) -> int | None:
        """When the journal was made that is there now; None where nobody says. Where it is another, nothing in hand is
        acknowledged any more. Asked only in doubt: to ask before each batch cost 1 us a row.
        """
        doubts = intake.doubts
        if doubts is not None and doubts == self._settled:
            return self._watch.journal
        present = await self._watch.present()
        if present == self._watch.journal:
            self._settled = doubts
        elif present is not None:
            intake.disown()
        return present

    def _warn(self, batch: Batch) -> None:
        if batch.trigger == "backlog" and self._warnings.allows(time.monotonic()):
            log.warning(
                "the database is slower than the stream: larger batches",
                rows=len(batch.units),
                still_waiting=self._waiting.rows,
                not_told=self._warnings.held_back(),
            )


def _observe(batch: Batch, deliveries: list[Delivery], seconds: float) -> None:
    metrics.BATCHES.labels(batch.trigger).inc()
    metrics.BATCH_ROWS.observe(len(batch.units))
    metrics.FLUSH_SECONDS.observe(seconds)
    oldest = min(delivery.stored_ns for delivery in deliveries)
    metrics.AGE_SECONDS.observe(max(0.0, time.time() - oldest / 1e9))
