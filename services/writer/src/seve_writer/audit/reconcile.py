"""The journal against the ledger: which sequences are accounted for, which wait, and which are lost. Pure: decides, and
reads nothing.

A sequence is accounted for if the ledger has it: the transaction that wrote its envelopes committed. It waits if the
journal holds it and no writer acknowledged all up to it (the ack floor). Otherwise it entered the journal and is
nowhere in the database: it is lost, even if the journal still holds it as history, from where it can be read
(`readable`).

What cannot be known is reported and not counted as lost: messages of a journal older than the tables that were
acknowledged before the tables were made, since another database may have them; and how far a replaced journal reached.
Dead letters are no evidence: some are dropped by rule, so that no number of them is a fault.
"""

from collections.abc import Iterable

import msgspec

from seve_writer.audit.ranges import Spans, count, united, within, without


class Journal(msgspec.Struct, frozen=True, kw_only=True):
    """The journal as it was at one moment. Times are microseconds since 1970. `held` is what it has, as history too;
    everything up to `ack_floor` is acknowledged; `oldest` is when the first message that waits came, None for none.
    """

    created: int
    last: int
    held: Spans
    ack_floor: int = 0
    oldest: int | None = None

    @property
    def unacknowledged(self) -> Spans:
        """What it holds above the ack floor."""
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
    """What the ledger has of one journal. `named` counts a sequence as often as a row names it."""

    journal: int
    rows: int = 0
    named: int = 0
    spans: Spans = ()
    outcomes: Outcomes = Outcomes()


class Unbalanced(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the ledger whose outcomes are not what it received."""

    id: int
    sequences: str
    received: int
    outcomes: int


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """The ledger as it was at one moment, and when its tables were made. `unbalanced` has the first of such rows,
    `unbalanced_rows` tells how many there are.
    """

    made: int
    entries: tuple[Entries, ...] = ()
    unbalanced: tuple[Unbalanced, ...] = ()
    unbalanced_rows: int = 0


class Finding(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of the messages of one journal, from `first` to `last`. Counts are of sequences.

    `again` is how many more times sequences were accounted for: delivered again because an acknowledgement was lost,
    which is no fault. `readable` is the part of `lost` that the journal still holds. `unknown` was acknowledged before
    these tables were made. `beyond` is in the ledger and was never in the journal.
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
    """The findings, the journal in use last; and rows that do not add up."""

    findings: tuple[Finding, ...]
    unbalanced: tuple[Unbalanced, ...]
    unbalanced_rows: int

    @property
    def lost(self) -> int:
        """How many messages are lost."""
        return sum(count(finding.lost) for finding in self.findings)

    @property
    def sound(self) -> bool:
        """Whether everything is accounted for and adds up."""
        return not (self.lost or self.unbalanced_rows or any(finding.beyond for finding in self.findings))


def reconcile(journal: Journal, ledger: Ledger, *, end: int, since: int | None = None) -> Audit:
    """Reconcile what was read in this order: `journal`, `ledger`, and then `end`, the journal's last sequence by then.
    `since` leaves out what is before that sequence, and with it all earlier journals.
    """
    entries = {entry.journal: entry for entry in ledger.entries}
    ours = entries.pop(journal.created, Entries(journal=journal.created))
    earlier = sorted(entries) if since is None else ()
    findings = [_replaced(entries[created], ledger.made) for created in earlier]
    findings.append(_current(journal, ours, _first(ours, journal.unacknowledged, ledger.made), end, since or 1))
    return Audit(findings=tuple(findings), unbalanced=ledger.unbalanced, unbalanced_rows=ledger.unbalanced_rows)


def _first(entries: Entries, unacknowledged: Spans, made: int) -> int | None:
    """The first sequence that this ledger can know; None where that is nothing yet.

    A journal that is younger than the tables was written into them from its beginning. Of an older one the messages
    before the first that is here may have gone into another database.
    """
    if entries.journal >= made:
        return 1
    return min((first for first, _ in _beginnings(entries.spans, unacknowledged)), default=None)


def _beginnings(*sets: Spans) -> Iterable[tuple[int, int]]:
    return (spans[0] for spans in sets if spans)


def _current(journal: Journal, entries: Entries, known: int | None, end: int, since: int) -> Finding:
    first = max(journal.last + 1 if known is None else known, since)
    accounted = within(entries.spans, first, journal.last)
    waiting = without(within(journal.unacknowledged, first, journal.last), accounted)
    lost = without(_span(first, journal.last), united(accounted, waiting))
    return Finding(
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


def _replaced(entries: Entries, made: int) -> Finding:
    """Of a journal that was made anew: what it held then is lost with it, up to the last that is accounted for; where
    it really ended nobody knows.
    """
    last = max((last for _, last in entries.spans), default=0)
    journal = Journal(created=entries.journal, last=last, held=())
    found = _current(journal, entries, _first(entries, (), made), last, 1)
    return msgspec.structs.replace(found, current=False)


def _span(first: int, last: int) -> Spans:
    return ((first, last),) if first <= last else ()
