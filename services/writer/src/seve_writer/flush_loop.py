"""The writer's loop: waits until a batch is due, writes it, acknowledges it. Runs one flush at a time."""

import asyncio
import time
from collections.abc import Sequence
from operator import attrgetter
from typing import Final

import structlog
from seve_runtime.errors import Stopped
from seve_runtime.rate_limit import Throttle
from seve_schema.times import MICROS

from seve_writer import metrics
from seve_writer.database.batch_writer import BatchWriter
from seve_writer.database.transaction import messages_of
from seve_writer.decode import JournalMessage, Unit, read, received_at
from seve_writer.flush_rule import Batch, Waiting
from seve_writer.journal.consumer import Consumer
from seve_writer.journal.monitor import Monitor

log = structlog.get_logger()

WARN_EVERY = 60.0
"""Seconds between two warnings that the stream is faster than the database."""

ASK_EVERY: Final = 0.2
"""Seconds between two requests for the journal's creation time while NATS does not answer."""

_stored_ns: Final = attrgetter("stored_ns")


class FlushLoop:
    """Collects the messages of `consumer` and hands batches to `batch_writer`. `monitor` knows the current journal."""

    def __init__(self, waiting: Waiting, batch_writer: BatchWriter, monitor: Monitor) -> None:
        self._waiting = waiting
        self._batch_writer = batch_writer
        self._monitor = monitor
        self._drained = False
        self._verified: int | None = None
        self._certain = 0
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._warnings = Throttle(WARN_EVERY)

    def arrived(self, message: JournalMessage) -> None:
        """Queue a message for the next flush."""
        first = self._waiting.rows == 0
        self._waiting.add(read(message), self._loop.time())
        if first or self._waiting.full:
            self._changed.set()

    def drain(self) -> None:
        """Tell the loop that no message will follow: it writes the waiting rows and ends."""
        self._drained = True
        self._changed.set()

    async def run(self, consumer: Consumer) -> None:
        """Flush due batches until `drain` was called and no row waits."""
        try:
            while await self._due():
                await self._flush(consumer, stopping=self._drained)
        except Stopped:
            log.warning("stopped while the database was down; unwritten messages stay in the journal")

    async def _due(self) -> bool:
        """Wait until a flush is due and return True, or return False if no more rows will come."""
        while True:
            self._changed.clear()
            wait = self._waiting.due_in(self._loop.time())
            if wait == 0 or self._drained:
                return wait is not None
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _flush(self, consumer: Consumer, *, stopping: bool) -> None:
        batch = self._waiting.take(self._loop.time(), stopping=stopping)
        try:
            began = time.monotonic()
            units = await self._of_current_journal(batch.units, consumer)
            if not units:
                return
            unsettled = await self._batch_writer.write(units, self._monitor.journal)
            messages = {message.sequence: message for message in messages_of(units)}
            _observe(batch, list(messages.values()), time.monotonic() - began)
            if unsettled:
                consumer.release([messages.pop(sequence) for sequence in unsettled])
                metrics.RETURNED.inc(len(unsettled))
            if await self._verify_journal(consumer) is None:  # acks would be buffered, and might reach a later journal
                consumer.release(messages.values())
            else:
                consumer.acknowledge(messages.values())
                metrics.ACKNOWLEDGED.inc(len(messages))
            self._warn(batch)
        finally:
            self._waiting.flushed()

    async def _of_current_journal(self, units: Sequence[Unit], consumer: Consumer) -> Sequence[Unit]:
        """Return the units that the ledger may count for the monitor's journal.

        If the journal was recreated, leave the new journal's messages to the next writer: here their sequences would be
        taken for sequences of the old one. While NATS does not answer, only messages received before a recreation
        became possible are known to belong to the monitor's journal. A batch with other messages waits for an answer;
        at a stop, return the known ones, and leave the others in the journal.
        """
        while (created := await self._verify_journal(consumer)) is None:
            certain = [unit for unit in units if unit.message.recreations <= self._certain]
            if len(certain) == len(units) or self._drained:
                return certain
            await asyncio.sleep(ASK_EVERY)
        if created == self._monitor.journal:
            return units
        return [unit for unit in units if unit.message.stored_ns < created * 1000]

    async def _verify_journal(self, consumer: Consumer) -> int | None:
        """Return the current journal's creation time, or None if NATS does not answer. If it was recreated, stop
        acknowledging. Asks only when a recreation is possible: a request per batch cost 1 µs per row.
        """
        possible, recreations = consumer.recreations_possible, consumer.recreations
        if possible is not None and possible == self._verified:
            return self._monitor.journal
        created = await self._monitor.created_at()
        if created == self._monitor.journal:
            self._verified, self._certain = possible, recreations
        elif created is not None:
            consumer.stop_acknowledging()
        return created

    def _warn(self, batch: Batch) -> None:
        if batch.trigger == "backlog" and self._warnings.allows(self._loop.time()):
            log.warning(
                "the database is slower than the stream: larger batches",
                rows=len(batch.units),
                still_waiting=self._waiting.rows,
                warnings_suppressed=self._warnings.held_back(),
            )


def _observe(batch: Batch, messages: list[JournalMessage], seconds: float) -> None:
    metrics.BATCHES.labels(batch.trigger).inc()
    metrics.BATCH_ROWS.observe(len(batch.units))
    metrics.FLUSH_SECONDS.observe(seconds)
    oldest = received_at(min(messages, key=_stored_ns))
    metrics.AGE_SECONDS.observe(max(0.0, time.time() - oldest / MICROS))
