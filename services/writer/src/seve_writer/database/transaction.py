"""Plans one transaction from units: rows of `measurements`, sorted and with unique keys, patches of states, and the
ledger's counts. Executes nothing (`store` does).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from seve_writer.database.chips import Chips, reported
from seve_writer.database.device_state import Patch, log_line, patches, rounds
from seve_writer.decode import JournalMessage, LogLine, Report, Unit

Row = tuple[str, str, str, int, float | None, int]
"""A row of `measurements`: a sample, and the sequence of its message."""


@dataclass(frozen=True, slots=True)
class LedgerCounts:
    """The ledger's counts, in envelopes. `received` is the sum of the others."""

    inserted: int = 0
    updated: int = 0
    replaced: int = 0
    dead: int = 0
    ignored: int = 0

    @property
    def received(self) -> int:
        """Every envelope has one outcome."""
        return self.inserted + self.updated + self.replaced + self.dead + self.ignored


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction. `counts` has the outcomes known before it runs, without rows and reports; `reports` counts the
    envelopes behind the patches; `chips` are those that the reports name. If `redelivered`, its rows may exist already.
    `earliest` is the earliest time of the batch's samples, in microseconds since 1970; None if it has no sample.
    """

    journal: int
    sequences: tuple[tuple[int, int], ...]
    rows: list[Row]
    rounds: list[list[Patch]]
    reports: int
    counts: LedgerCounts
    redelivered: bool
    earliest: int | None = None
    chips: Chips = field(default_factory=dict)


def plan(
    units: Sequence[Unit],
    journal: int,
    *,
    ending: bool = True,
    earliest: int | None = None,
    unsettled: Collection[int] = (),
) -> Transaction:
    """Return the transaction for `units`, none of which is unreadable. A sample that a later one of the batch
    overwrites counts as replaced. With `ending`, the last unit ends its NATS message, and the ledger names that message
    unless it is one of `unsettled`. `earliest` is the earliest time of the whole batch, of which `units` are a part.
    """
    messages = messages_of(units)
    ordered = units
    if any(message.sequence > following.sequence for message, following in pairwise(messages)):
        ordered = sorted(units, key=lambda unit: (unit.message.sequence, unit.index))
    rows: dict[tuple[str, str, str, int], Row] = {}
    states: list[Patch] = []
    samples = reports = ignored = 0
    for unit in ordered:
        content = unit.content
        if type(content) is tuple:
            samples += 1
            rows[content[:4]] = (*content, unit.message.sequence)
        elif isinstance(content, Report):
            patched = patches(content, (journal, unit.message.sequence, unit.index))
            states += patched
            reports += bool(patched)
            ignored += not patched
        elif isinstance(content, LogLine):
            states.append(log_line(content, (journal, unit.message.sequence, unit.index)))
            reports += 1
        else:
            ignored += 1
    return Transaction(
        journal=journal,
        sequences=_ended(messages, unsettled, ending=ending),
        rows=sorted(rows.values()),
        rounds=rounds(states) if states else [],
        reports=reports,
        counts=LedgerCounts(replaced=samples - len(rows), ignored=ignored),
        redelivered=any(message.delivered > 1 for message in messages),
        earliest=earliest,
        chips=reported(states) if states else {},
    )


def dead_letter_transaction(
    units: Sequence[Unit], journal: int, *, earliest: int | None, unsettled: Collection[int]
) -> Transaction:
    """Return the transaction that counts envelopes as dead, and names their messages, but for those of `unsettled`."""
    sequences = _ended(messages_of(units), unsettled)
    return Transaction(
        journal, sequences, [], [], 0, LedgerCounts(dead=len(units)), redelivered=False, earliest=earliest
    )


def outcome(transaction: Transaction, *, inserted: int, updated: int, fresh: int, changed: int) -> LedgerCounts:
    """Return the counts after the run: rows inserted and updated, reports that created (`fresh`) or changed a row.

    All other rows and reports were older than the stored ones, and count as replaced.
    """
    return replace(
        transaction.counts,
        inserted=inserted + fresh,
        updated=updated + changed,
        replaced=transaction.counts.replaced
        + (len(transaction.rows) - inserted - updated)
        + (transaction.reports - fresh - changed),
    )


def earliest(units: Sequence[Unit]) -> int | None:
    """Return the earliest time of the samples in `units`, microseconds since 1970; None if there is none."""
    return min([unit.content[3] for unit in units if type(unit.content) is tuple], default=None)


def messages_of(units: Sequence[Unit]) -> list[JournalMessage]:
    """Return the messages of `units`, in order: one for each run of units of the same message."""
    messages: list[JournalMessage] = []
    last = None
    for unit in units:
        if unit.message is not last:
            last = unit.message
            messages.append(last)
    return messages


def _ended(
    messages: Sequence[JournalMessage], unsettled: Collection[int], *, ending: bool = True
) -> tuple[tuple[int, int], ...]:
    """Return the sequences of the messages that end here, as ranges with both ends included, without the `unsettled`
    ones. Without `ending`, the last message goes on in another transaction.
    """
    going_on = set() if ending else {messages[-1].sequence}
    sequences = sorted({message.sequence for message in messages} - going_on - set(unsettled))
    ranges: list[tuple[int, int]] = []
    for sequence in sequences:
        if ranges and ranges[-1][1] == sequence - 1:
            ranges[-1] = (ranges[-1][0], sequence)
        else:
            ranges.append((sequence, sequence))
    return tuple(ranges)
