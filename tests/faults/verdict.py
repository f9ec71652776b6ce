"""Judges a cell of the crash matrix: nothing lost, nothing twice, and no undeclared gap on a screen. Pure.

It is given what the fleet drew as its account, what the journal carried, and what the database has of it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from seve_fleet.simulate.account import Key
from seve_fleet.simulate.result import Outcome
from seve_fleet.simulate.ws import Missed
from seve_schema.position import Token


class Untimed(NamedTuple):
    """Samples without a time of their own: their numbers, of rows that are missing, and of rows too many; `forgotten`
    of them because a killed broker had not kept the acknowledgement.
    """

    sent: int = 0
    acknowledged: int = 0
    lost: int = 0
    twice: int = 0
    forgotten: int = 0


class Carried(NamedTuple):
    """An envelope of the run in the journal; `key` is None for one that is no sample. `report` is the topic of one that
    a screen counts as a report.
    """

    token: Token
    key: Key | None
    delivery: str | None
    report: str | None = None

    def declared(self, gaps: Iterable[Missed]) -> bool:
        """Whether a gap was declared that includes this envelope."""
        return any(Token.parse(gap.start) < self.token <= Token.parse(gap.end) for gap in gaps)


class Cell(NamedTuple):
    """A fault and what followed. `unaccounted` counts journal messages that the ledger lacks, and envelopes in it
    without an outcome; `troubles` are what else went wrong. `first` is when the first sample sent after the fault was
    stored, `longest` the longest that any sample took to its row (seconds).
    """

    part: str
    fault: str
    outcome: Outcome
    carried: Sequence[Carried]
    unaccounted: int = 0
    dead_letters: int = 0
    troubles: Sequence[str] = ()
    first: float | None = None
    longest: float | None = None
    broker_may_lose: bool = False
    gone: Sequence[Carried] = ()
    """What a damaged journal lost before it was stored, and"""
    named: frozenset[int] = frozenset()
    """the sequences that the audit calls lost of it."""
    untimed: Untimed = Untimed()

    @property
    def sent(self) -> int:
        """Samples, with a time and without."""
        return self.outcome.sent + self.untimed.sent

    @property
    def stored(self) -> int | None:
        """Samples with a row; None where the database could not be asked."""
        if self.outcome.unreadable:
            return None
        return self.sent - len(self.outcome.unstored) - self.untimed.lost

    @property
    def twice(self) -> int:
        """Rows beyond one a sample, and deliveries of the broker that are in the journal more than once."""
        deliveries = Counter(one.delivery for one in self.carried if one.delivery)
        untimed = self.untimed.twice - self.untimed.forgotten
        return self.outcome.strange + untimed + sum(times - 1 for times in deliveries.values())

    @property
    def lost_by_broker(self) -> int:
        """Samples that a killed broker had acknowledged and never gave to ingest, where it does not promise to."""
        if not self.broker_may_lose:
            return 0
        carried = {one.key for one in self.carried}
        return sum(key not in carried for key in self.outcome.unstored)

    @property
    def lost_by_journal(self) -> int:
        """Samples without a row that were in the damaged part of the journal."""
        gone = {one.key for one in self.gone}
        return sum(key in gone for key in self.outcome.unstored)

    @property
    def lost(self) -> int:
        """Samples without a row, less those that the broker or a damaged journal lost."""
        return len(self.outcome.unstored) - self.lost_by_broker - self.lost_by_journal + self.untimed.lost

    @property
    def misnamed(self) -> int:
        """Sequences that are gone and not named by the audit, or named and not gone."""
        return len({one.token.position.sequence for one in self.gone} ^ self.named)

    @property
    def undeclared(self) -> int:
        """Messages that the client neither saw nor was told of."""
        gaps, unseen = self.outcome.gaps, set(self.outcome.unseen)
        told = {one.key for one in self.carried if one.key in unseen and one.declared(gaps)}
        reports = sum(one.key is None and one.declared(gaps) for one in self.carried)
        samples = len(unseen) - len(told) - self.lost_by_broker
        return samples + (0 if self.broker_may_lose else max(0, self.outcome.reports_unseen - reports))

    @property
    def unpublished(self) -> int:
        """Reports that the fleet sent and the journal did not carry."""
        prefix = f"{self.outcome.run}-"
        return max(0, self.outcome.reports - sum((one.report or "").startswith(prefix) for one in self.carried))

    @property
    def repeated(self) -> int:
        """Frames that came twice, although the journal had the sample once: a device may send it twice, and a broker
        sends again what a damaged journal lost before it was acknowledged.
        """
        copies = Counter(one.key for one in (*self.carried, *self.gone) if one.key)
        return max(0, self.outcome.repeated - sum(times - 1 for times in copies.values()))

    @property
    def complaints(self) -> list[str]:
        """What breaks a promise; empty where all is kept."""
        unacknowledged = self.sent - self.outcome.acknowledged - self.untimed.acknowledged
        unacknowledged += self.outcome.reports_unacknowledged
        counted = {
            "LOST": self.lost,
            "TWICE": self.twice,
            "kept from the screen undeclared": self.undeclared,
            "twice on the screen": self.repeated,
            "not in the ledger": self.unaccounted,
            "gone sequences not named, or named and not gone": self.misnamed,
            "dead letters": self.dead_letters,
            "never acknowledged": unacknowledged,
        }
        rows = [] if self.lost_by_broker or self.gone else self.outcome.missing_rows
        unreadable = [self.outcome.unreadable] if self.outcome.unreadable else []
        hops = [f"{self.unpublished} reports not in the journal"] if self.undeclared and self.unpublished else []
        found = [f"{count} {what}" for what, count in counted.items() if count]
        return [*found, *hops, *rows, *unreadable, *self.troubles]

    @property
    def verdict(self) -> str:
        """In a few words."""
        forgiven = f" ({self.lost_by_broker} lost by the broker itself)" if self.lost_by_broker else ""
        if self.untimed.forgotten:
            forgiven = f" ({self.untimed.forgotten} twice by the broker itself)"
        if self.gone:
            forgiven = f"; {self.lost_by_journal} lost with the file, all of its {len(self.named)} messages named"
        return "; ".join(self.complaints) + forgiven if self.complaints else f"kept{forgiven}"


def times(carried: Iterable[Carried], commits: Mapping[int, float], at: int) -> tuple[float | None, float | None]:
    """From the fault (`at`, microseconds since 1970) to the first row of a sample sent after it, and the longest from
    a sample's time to its row (seconds). `commits` has when each journal sequence was committed.
    """
    rows = [
        (one.key[1] / 1e6, commits[one.token.position.sequence])
        for one in carried
        if one.key and one.token.position.sequence in commits
    ]
    after = [stored - at / 1e6 for sent, stored in rows if sent > at / 1e6]
    return min(after, default=None), max((stored - sent for sent, stored in rows), default=None)


class NotRun(NamedTuple):
    """A cell that this machine does not allow, and why."""

    part: str
    fault: str
    why: str

    @property
    def complaints(self) -> list[str]:
        """None: nothing was shown, either way."""
        return []

    @property
    def verdict(self) -> str:
        """That it was not run."""
        return f"not run: {self.why}"


Row = Cell | NotRun

COLUMNS = {
    "sent": lambda cell: str(cell.sent),
    "stored": lambda cell: "?" if cell.stored is None else str(cell.stored),
    "twice": lambda cell: str(cell.twice),
    "lost": lambda cell: str(cell.lost + cell.lost_by_journal),
    "seen": lambda cell: str(cell.outcome.seen),
    "gaps": lambda cell: str(len(cell.outcome.gaps)),
    "first row": lambda cell: _seconds(cell.first),
    "slowest": lambda cell: _seconds(cell.longest),
}
HEADS = ("part", "fault", *COLUMNS, "verdict")


def texts(row: Row) -> list[str]:
    """The columns of a row, as HEADS names them."""
    found = ["-"] * len(COLUMNS) if isinstance(row, NotRun) else [text(row) for text in COLUMNS.values()]
    return [row.part, row.fault, *found, row.verdict]


def table(rows: Sequence[Row]) -> str:
    """Return a line per row, under the names of the columns."""
    lines = [list(HEADS), *map(texts, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(_aligned, line, widths, range(len(line)))).rstrip() for line in lines)


def _aligned(text: str, width: int, column: int) -> str:
    return text.ljust(width) if column < 2 or column == len(HEADS) - 1 else text.rjust(width)


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} s"
