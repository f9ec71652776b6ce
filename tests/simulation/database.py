"""A model of the database behind the writers' `Store`: a transaction happens in one moment or not at all, what is
committed stays, and an answer may be lost. It refuses what the tables refuse, with PostgreSQL's errors.
"""

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg
from psycopg import errors
from seve_writer.database.transaction import LedgerCounts, Transaction, outcome

from simulation.clock import VirtualLoop

if TYPE_CHECKING:
    from seve_writer.database.device_state import Place

TRANSIENT = (
    errors.DeadlockDetected,
    errors.SerializationFailure,
    errors.AdminShutdown,
    errors.QueryCanceled,
    errors.LockNotAvailable,
    errors.OutOfMemory,
)
"""Of the moment, not of a row."""


class LedgerRow(msgspec.Struct, frozen=True):
    """One transaction as the ledger tells it."""

    journal: int
    sequences: tuple[tuple[int, int], ...]
    counts: LedgerCounts


class Tables:
    """What is committed. `poison` are values that a constraint refuses."""

    def __init__(self, poison: set[float]) -> None:
        self.rows: dict[tuple[str, str, str, int], tuple[float | None, tuple[int, int]]] = {}
        self.states: dict[tuple[str, tuple[Any, ...]], dict[str, Any]] = {}
        self.ledger: list[LedgerRow] = []
        self.booked: set[tuple[int, int]] = set()
        self._poison = poison
        self.up = True
        self.trouble = 0.0
        """The chance that a transaction meets an error of the moment, a lost answer or a lost connection."""

    def transact(self, plan: Transaction, *, upsert: bool) -> LedgerCounts:
        """Commit a transaction. Raises psycopg.Error."""
        for row in plan.rows:
            if row[4] in self._poison:
                raise errors.CheckViolation("refused by a constraint")
            if not upsert and row[:4] in self.rows:
                raise errors.UniqueViolation("there already")
        made: dict[Place, bool] = {}
        for patch in (patch for patches in plan.rounds for patch in patches):
            row = self.states.setdefault((patch.table, patch.key), {})
            fresh, guard = not row, row.get(patch.position)
            if guard is None or (not patch.retained and guard < patch.place):
                row |= {**patch.columns, patch.position: patch.place}
                made[patch.place] = made.get(patch.place, False) or fresh
        inserted = updated = 0
        for row in plan.rows:
            position, there = (plan.journal, row[5]), self.rows.get(row[:4])
            if there is None or there[1] <= position:
                self.rows[row[:4]] = (row[4], position)
                inserted += there is None
                updated += there is not None
        fresh = sum(made.values())
        counts = outcome(plan, inserted=inserted, updated=updated, fresh=fresh, changed=len(made) - fresh)
        self.ledger.append(LedgerRow(plan.journal, plan.sequences, counts))
        for first, last in plan.sequences:
            self.booked.update((plan.journal, sequence) for sequence in range(first, last + 1))
        return counts


class ModelStore:
    """`Store` over the model: `write` and `probe` as the batch writer calls them."""

    TIMEOUT = 2.0

    def __init__(self, loop: VirtualLoop, rng: Random, tables: Tables) -> None:
        self._loop = loop
        self._rng = rng
        self._tables = tables
        self.dead = False

    async def write(self, plan: Transaction, *, upsert: bool = False, **_: bool) -> LedgerCounts:
        await self._reach()
        chance, trouble = self._rng.random(), self._tables.trouble
        if chance < trouble / 4:
            raise self._rng.choice(TRANSIENT)("of the moment")
        if chance < trouble / 2:
            raise psycopg.OperationalError("the connection was lost before the transaction")
        if chance < trouble * 3 / 4:
            return await self._hang(plan, upsert=upsert)
        counts = self._tables.transact(plan, upsert=upsert)
        await asyncio.sleep(self._rng.random() * 0.01)
        if chance < trouble or not self._tables.up:
            raise psycopg.OperationalError("the connection was lost after COMMIT")
        return counts

    async def _hang(self, plan: Transaction, *, upsert: bool) -> LedgerCounts:
        """The server does not answer in time, and may commit later what nobody waits for any more."""
        if self._rng.random() < 0.5:
            self._loop.call_later(self._rng.random() * 2 * self.TIMEOUT, self._late, plan, upsert)
        await asyncio.sleep(self.TIMEOUT)
        raise TimeoutError

    def _late(self, plan: Transaction, upsert: bool) -> None:
        if self._tables.up:
            try:
                self._tables.transact(plan, upsert=upsert)
            except psycopg.Error:
                return

    async def probe(self) -> None:
        await self._reach()

    async def close(self) -> None:
        pass

    async def _reach(self) -> None:
        await asyncio.sleep(self._rng.random() * 0.01)
        if not self._tables.up:
            raise psycopg.OperationalError("connection refused")
