"""Compares the journal with the ledger: which sequences are accounted for, which wait, and which are lost. Pure: reads
neither of them.

A sequence is accounted for if the ledger has it, because then the transaction with its envelopes committed. It waits if
the journal holds it above the ack floor. Any other sequence is lost, even if the journal still holds the message as
history, from which it can be read (`readable`).

Two things are unknown, reported, and not counted as lost: messages of a journal older than the tables that were
acknowledged before the tables were created, because another database may have them; and how far a replaced journal
reached. Dead letters are not judged: some are suppressed or expire by design, so that no number of them is a fault.
"""

from collections.abc import Iterable

import msgspec

from seve_writer.audit.ranges import Spans, count, united, within, without


class Journal(msgspec.Struct, frozen=True, kw_only=True):
    """The journal at one moment. Times are microseconds since 1970. `held` are its sequences, history included. All
    messages up to `ack_floor` are acknowledged. `oldest` is the storing time of the first waiting message, or None.
    """

    created: int
    last: int
    held: Spans
    ack_floor: int = 0
    oldest: int | None = None

    @property
    def unacknowledged(self) -> Spans:
        """Return the held sequences above the ack floor."""
        return within(self.held, self.ack_floor + 1, self.last)


class Outcomes(msgspec.Struct, frozen=True, kw_only=True):
    """Sums of the ledger's counts, in envelopes."""

    received: int = 0
    inserted: int = 0
    updated: int = 0
    replaced: int = 0
    dead: int = 0
    ignored: int = 0


class Entries(msgspec.Struct, frozen=True, kw_only=True):
    """The ledger's entries for one journal. `named` counts a sequence as often as a row names it."""

    journal: int
    rows: int = 0
    named: int = 0
    spans: Spans = ()
    outcomes: Outcomes = Outcomes()


class Unbalanced(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the ledger whose outcomes do not add up to `received`."""

    id: int
    sequences: str
    received: int
    outcomes: int


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """The ledger at one moment. `created` is the creation time of its tables, microseconds since 1970. `unbalanced` has
    the first unbalanced rows, `unbalanced_rows` is their number.
    """

    created: int
    entries: tuple[Entries, ...] = ()
    unbalanced: tuple[Unbalanced, ...] = ()
    unbalanced_rows: int = 0


class JournalFinding(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The state of one journal's messages from `first` to `last`. Counts are of sequences.

    `again` counts further rows of sequences that have one already: messages delivered again because an acknowledgement
    was lost, which is no fault. `readable` is the part of `lost` that the journal still holds. `unknown` messages were
    acknowledged before the tables were created. `beyond` sequences are in the ledger and were never in the journal.
    """

    created: int
    current: bool
    first: int
    last: int
    rows: int
    accounted: int
    again: int
    waiting: int
    lost: Spans
    readable: Spans
    unknown: Spans
    beyond: Spans
    outcomes: Outcomes


class Audit(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The findings, that of the current journal last, and the unbalanced rows."""

    findings: tuple[JournalFinding, ...]
    unbalanced: tuple[Unbalanced, ...]
    unbalanced_rows: int

    @property
    def lost(self) -> int:
        """Return how many messages are lost."""
        return sum(count(finding.lost) for finding in self.findings)

    @property
    def sound(self) -> bool:
        """Return whether everything is accounted for and all rows add up."""
        return not (self.lost or self.unbalanced_rows or any(finding.beyond for finding in self.findings))


def reconcile(journal: Journal, ledger: Ledger, *, end: int, since: int | None = None) -> Audit:
    """Compare the journal with the ledger. They have to be read in this order: `journal`, `ledger`, and then `end`, the
    journal's last sequence. `since` leaves out everything before that sequence, and all earlier journals.
    """
    entries = {entry.journal: entry for entry in ledger.entries}
    ours = entries.pop(journal.created, Entries(journal=journal.created))
    earlier = sorted(entries) if since is None else ()
    findings = [_replaced(entries[created], ledger.created) for created in earlier]
    findings.append(_current(journal, ours, _first(ours, journal.unacknowledged, ledger.created), end, since or 1))
    return Audit(findings=tuple(findings), unbalanced=ledger.unbalanced, unbalanced_rows=ledger.unbalanced_rows)


def _first(entries: Entries, unacknowledged: Spans, tables_created: int) -> int | None:
    """Return the first sequence that this ledger can know, or None if it can know none yet.

    A journal that is younger than the tables was written into them from its beginning. Earlier messages of an older
    journal may be in another database.
    """
    if entries.journal >= tables_created:
        return 1
    return min((first for first, _ in _beginnings(entries.spans, unacknowledged)), default=None)


def _beginnings(*sets: Spans) -> Iterable[tuple[int, int]]:
    return (spans[0] for spans in sets if spans)


def _current(journal: Journal, entries: Entries, known: int | None, end: int, since: int) -> JournalFinding:
    first = max(journal.last + 1 if known is None else known, since)
    accounted = within(entries.spans, first, journal.last)
    waiting = without(within(journal.unacknowledged, first, journal.last), accounted)
    lost = without(_span(first, journal.last), united(accounted, waiting))
    return JournalFinding(
        created=journal.created,
        current=True,
        first=since,
        last=journal.last,
        rows=entries.rows,
        accounted=count(accounted),
        again=entries.named - count(entries.spans),
        waiting=count(waiting),
        lost=lost,
        readable=without(lost, without(lost, journal.held)),
        unknown=_span(since, first - 1),
        beyond=within(entries.spans, end + 1, max((last for _, last in entries.spans), default=0)),
        outcomes=entries.outcomes,
    )


def _replaced(entries: Entries, tables_created: int) -> JournalFinding:
    """Return the finding for a journal that was recreated. Messages that it held then are lost with it, up to the last
    accounted one. Its real end is unknown.
    """
    last = max((last for _, last in entries.spans), default=0)
    journal = Journal(created=entries.journal, last=last, held=())
    finding = _current(journal, entries, _first(entries, (), tables_created), last, 1)
    return msgspec.structs.replace(finding, current=False)


def _span(first: int, last: int) -> Spans:
    return ((first, last),) if first <= last else ()
