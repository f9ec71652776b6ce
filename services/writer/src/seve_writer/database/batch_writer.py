"""Writes a batch until all of it is committed: retries if the fault is the database's, halves the batch if it is a
row's, and publishes a single refused row as a dead letter. Ends early only by raising Stopped.

Waits for the dead-letter stream for a second at most: a message whose dead letter is not confirmed by then stays
unacknowledged, and is delivered again.
"""

import random
import time
from collections.abc import Sequence

import psycopg
import structlog
from seve_runtime.backoff import backoff, jittered
from seve_runtime.errors import Stopped, describe
from seve_runtime.health import Health
from seve_runtime.lifecycle import Stop, pause
from seve_runtime.rate_limit import Throttle

from seve_writer import metrics
from seve_writer.database.chips import ChipChange, changes
from seve_writer.database.retry_policy import Attempt, NextStep
from seve_writer.database.sqlstate import Fault, classify
from seve_writer.database.store import Store
from seve_writer.database.transaction import LedgerCounts, Transaction, dead_letter_transaction, earliest, plan
from seve_writer.deadletters import DeadLetters, RefusedUnits
from seve_writer.decode import Unit, Unreadable
from seve_writer.errors import SchemaError

log = structlog.get_logger()

DATABASE = "database"
SCHEMA = "schema"
"""Readiness conditions that this module sets."""

FIRST_BACKOFF = 0.1
LONGEST_BACKOFF = 2.0
"""Seconds between retries."""


WARN_EVERY = 10.0
"""Seconds between two warnings about chips: two devices with one name may report in turn for months."""


class PartRefused(Exception):
    """The database refuses at least one row of this part."""

    def __init__(self, sqlstate: str | None, error: str) -> None:
        super().__init__(error)
        self.sqlstate = sqlstate
        self.error = error


class BatchWriter:
    """Writes batches to `store`. `stop` ends retries: messages not committed by then stay in the journal."""

    def __init__(self, store: Store, deadletters: DeadLetters, health: Health, stop: Stop) -> None:
        self._store = store
        self._deadletters = deadletters
        self._health = health
        self._stop = stop
        self._warnings = Throttle(WARN_EVERY)

    async def until_ready(self) -> None:
        """Wait until the database answers with a usable schema. Raises Stopped."""
        attempt = Attempt(upsert=False)
        while True:
            try:
                await self._store.probe()
            except (psycopg.Error, SchemaError, OSError) as error:
                fault, sqlstate = judge(error)
                attempt.failures += 1
                self._tell(fault, sqlstate, error, attempt.failures)
                await self._pause(attempt.failures)
            else:
                self._health.holds(DATABASE)
                self._health.holds(SCHEMA)
                return

    async def write(self, units: Sequence[Unit], journal: int) -> set[int]:
        """Store every unit or publish it as a dead letter, in transactions as large as the database accepts.

        Return the sequences of messages with a dead letter that NATS did not confirm: they must not be acknowledged,
        and the ledger does not name them. Raises Stopped.
        """
        refused, oldest = RefusedUnits(self._deadletters, journal), earliest(units)
        try:
            readable = []
            for unit in units:
                if isinstance(unit.content, Unreadable):
                    refused.add(unit, None, unit.content.error)
                else:
                    readable.append(unit)
            await self._store_readable(readable, journal, oldest, refused)
            kept, unsettled = await refused.settle()
            if kept:
                counted = dead_letter_transaction(kept, journal, earliest=oldest, unsettled=unsettled)
                await self._commit(counted, last=True)
            return unsettled
        finally:
            refused.cancel()

    async def _store_readable(
        self, units: Sequence[Unit], journal: int, oldest: int | None, refused: RefusedUnits
    ) -> None:
        """Commit what the database accepts; add the rest to `refused`. Raises Stopped."""
        parts = [(units, True)] if units else []
        while parts:
            part, ending = parts.pop()
            try:
                await self._commit(plan(part, journal, ending=ending, earliest=oldest, unsettled=refused.sequences))
            except PartRefused as refusal:
                if len(part) == 1:
                    refused.add(part[0], refusal.sqlstate, refusal.error)
                    continue
                metrics.HALVINGS.inc()
                half = len(part) // 2
                whole = part[half - 1].message.sequence != part[half].message.sequence
                parts += [(part[half:], ending), (part[:half], whole)]

    async def _commit(self, transaction: Transaction, *, last: bool = False) -> LedgerCounts:
        """Retry one transaction until it is committed. Raises Stopped, and PartRefused unless `last`: if the database
        refuses a transaction with nothing but a ledger row, the schema is at fault.
        """
        attempt = Attempt(upsert=transaction.redelivered)
        if transaction.redelivered:
            metrics.UPSERTS.labels("redelivered").inc()
        while True:
            try:
                stored = await self._store.chips(transaction.chips) if transaction.chips else {}
                counts = await self._store.write(transaction, upsert=attempt.upsert, unlimited=attempt.unlimited)
            except (psycopg.Error, SchemaError, OSError) as error:  # TimeoutError is an OSError
                await self._next(attempt, error, last=last)
            else:
                self._health.holds(DATABASE)
                self._health.holds(SCHEMA)
                _count(counts)
                if transaction.chips:
                    self._report(changes(transaction.chips, stored))
                return counts

    async def _next(self, attempt: Attempt, error: Exception, *, last: bool) -> None:
        fault, sqlstate = judge(error)
        step = attempt.failed(fault)
        if step is NextStep.REFUSED and last:
            fault, step = Fault.SCHEMA, attempt.failed(Fault.SCHEMA)
        if step is NextStep.REFUSED:
            raise PartRefused(sqlstate, describe(error))
        metrics.RETRIES.labels(fault.value, sqlstate or "none").inc()
        if step is NextStep.AGAIN:
            metrics.UPSERTS.labels(fault.value).inc()
            return
        self._tell(fault, sqlstate, error, attempt.failures)
        await self._pause(attempt.failures)
        if step is NextStep.PROBE:
            attempt.probed(answered=await self._answers())

    def _tell(self, fault: Fault, sqlstate: str | None, error: Exception, failures: int) -> None:
        condition = SCHEMA if fault is Fault.SCHEMA else DATABASE
        self._health.fails(condition, describe(error))
        say = log.error if fault is Fault.SCHEMA else log.warning
        if failures & (failures - 1) == 0:  # the 1st, 2nd, 4th, 8th …: an outage of hours fills no disk
            say(
                "batch not written and not acknowledged; retrying",
                sqlstate=sqlstate,
                error=describe(error),
                failures=failures,
            )

    def _report(self, changed: list[ChipChange]) -> None:
        metrics.CHIP_CHANGES.inc(len(changed))
        for change in changed:
            if self._warnings.allows(time.monotonic()):
                log.warning(
                    "another chip reports under the name of this module: a second device, or a new board",
                    module=change.module,
                    before=change.before,
                    now=change.now,
                    warnings_suppressed=self._warnings.held_back(),
                )

    async def _pause(self, failures: int) -> None:
        wait = backoff(failures, first=FIRST_BACKOFF, longest=LONGEST_BACKOFF)
        if await pause(self._stop, jittered(wait, random.random())):  # noqa: S311  (jitter)
            raise Stopped

    async def _answers(self) -> bool:
        try:
            await self._store.probe()
        except (psycopg.Error, SchemaError, OSError):
            return False
        return True


def judge(error: Exception) -> tuple[Fault, str | None]:
    """Return the fault behind an exception of the store, and its SQLSTATE if it has one."""
    if isinstance(error, SchemaError):
        return Fault.SCHEMA, None
    if isinstance(error, psycopg.Error) and error.sqlstate is None and not isinstance(error, psycopg.OperationalError):
        return Fault.UNKNOWN, None
    sqlstate = error.sqlstate if isinstance(error, psycopg.Error) else None
    return classify(sqlstate), sqlstate


def _count(counts: LedgerCounts) -> None:
    for outcome in ("inserted", "updated", "replaced", "dead", "ignored"):
        if amount := getattr(counts, outcome):
            metrics.ENVELOPES.labels(outcome).inc(amount)
