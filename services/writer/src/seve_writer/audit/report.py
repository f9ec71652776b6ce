"""Renders an audit as text for people and as JSON for programs. Pure."""

from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from seve_schema.times import MICROS, format_time

from seve_writer.audit.ranges import Spans, count
from seve_writer.audit.reconcile import Audit, Journal, JournalFinding, Outcomes

SHOWN: Final = 12
"""Most spans shown in a line; the JSON has all of them."""
_WIDTH: Final = 11


class DeadLetterCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of the writer's dead letters: counted by the ledger in the last `days`, and kept in the stream."""

    days: float
    counted: int
    kept: int


def report(audit: Audit, journal: Journal, dead_letters: DeadLetterCounts, now: int) -> str:
    """Return the text of an audit, its verdict last. `now` is in microseconds since 1970."""
    parts = [_section(finding, journal, now) for finding in audit.findings]
    if audit.unbalanced:
        parts.append(_unbalanced(audit))
    return "\n\n".join([*parts, _dead_letters(dead_letters), verdict(audit)])


def verdict(audit: Audit) -> str:
    """Return one line, or one for each fault."""
    wrong = []
    if audit.lost:
        lost = [finding for finding in audit.findings if finding.lost]
        where = "; ".join(spelled(finding.lost) + ("" if finding.current else " of an earlier one") for finding in lost)
        what = f"{_messages(audit.lost)} of the journal, neither in the database nor waiting"
        wrong.append(f"LOST: {what}: {where}{_readable(audit)}")
    if audit.unbalanced_rows:
        wrong.append(f"WRONG: {_rows(audit.unbalanced_rows)} of the ledger whose outcomes do not add up to received")
    for finding in audit.findings:
        if finding.beyond:
            beyond = f"{_messages(count(finding.beyond))} beyond its end ({spelled(finding.beyond)})"
            wrong.append(f"WRONG: the journal was set back: the ledger has {beyond}; their numbers will be used again")
    if wrong:
        return "\n".join(wrong)
    current = audit.findings[-1]
    since = f" from {current.first} on" if current.first > 1 else ""
    waiting = f", but {current.waiting:,} that wait" if current.waiting else ""
    return f"ACCOUNTED FOR: every message{since} is in the database{waiting}."


def _readable(audit: Audit) -> str:
    """Return which lost messages can still be read from the journal, as the end of a line."""
    readable = audit.findings[-1].readable
    return f"; the journal still holds {spelled(readable)}" if readable else ""


def as_json(audit: Audit, journal: Journal, dead_letters: DeadLetterCounts, now: int) -> str:
    """Return the audit as JSON, with every span. `ok` is the verdict."""
    journals = [_as_data(finding) for finding in audit.findings]
    journals[-1]["oldestWaiting"] = journal.oldest and format_time(journal.oldest)
    rows = {"count": audit.unbalanced_rows, "first": msgspec.to_builtins(audit.unbalanced)}
    whole = {
        "ok": audit.sound,
        "time": format_time(now),
        "lost": audit.lost,
        "journals": journals,
        "unbalanced": rows,
        "deadLetters": msgspec.to_builtins(dead_letters),
    }
    return msgspec.json.format(msgspec.json.encode(whole)).decode()


def spelled(spans: Spans) -> str:
    """Return spans as text: `3, 5-9 and 2 more spans`."""
    named = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in spans[:SHOWN])
    return f"{named} and {len(spans) - SHOWN} more spans" if len(spans) > SHOWN else named


def _as_data(finding: JournalFinding) -> dict[str, Any]:
    data: dict[str, Any] = msgspec.to_builtins(finding)
    data["created"] = format_time(finding.created)
    for name in ("lost", "readable", "unknown", "beyond"):
        data[name] = {"count": count(getattr(finding, name)), "spans": data[name]}
    return data


def _section(finding: JournalFinding, journal: Journal, now: int) -> str:
    created = f"{_moment(finding.created)} UTC"
    title = f"Journal created {created}" if finding.current else f"Earlier journal, created {created}, replaced since"
    lines = [(finding.last - finding.first + 1, "entered", _entered(finding))]
    lines += [(count(finding.unknown), "unknown", _unknown(finding))] * bool(finding.unknown)
    lines += [(finding.accounted, "accounted", _accounted(finding))]
    if finding.current:
        lines += [(finding.waiting, "waiting", _waiting(finding, journal, now))]
    lines += [(count(finding.lost), "lost", spelled(finding.lost))]
    aligned = [f"  {max(amount, 0):>{_WIDTH},}  {word:<9}  {more}".rstrip() for amount, word, more in lines]
    return "\n".join([title, *aligned, *_outcomes(finding.outcomes)])


def _entered(finding: JournalFinding) -> str:
    if finding.last < finding.first:
        return "nothing yet"
    more = "" if finding.current else "; later ones are unknown"
    return f"sequences {finding.first} to {finding.last}{more}"


def _accounted(finding: JournalFinding) -> str:
    again = f"; {finding.again:,} delivered and written again, which is no fault" if finding.again else ""
    return f"by {_rows(finding.rows)} of the ledger{again}"


def _unknown(finding: JournalFinding) -> str:
    return f"{spelled(finding.unknown)}: acknowledged before these tables were created"


def _waiting(finding: JournalFinding, journal: Journal, now: int) -> str:
    if not finding.waiting or journal.oldest is None:
        return ""
    return f"in the journal, the oldest for {_duration((now - journal.oldest) / MICROS)}"


def _outcomes(outcomes: Outcomes) -> list[str]:
    parts = [f"{getattr(outcomes, name):,} {name}" for name in outcomes.__struct_fields__[1:]]
    return [f"  {outcomes.received:>{_WIDTH},}  envelopes  {' + '.join(parts)}"]


def _unbalanced(audit: Audit) -> str:
    rows = [
        f"  row {row.id}, sequences {row.sequences}: received {row.received}, outcomes {row.outcomes}"
        for row in audit.unbalanced
    ]
    more = [f"  and {audit.unbalanced_rows - len(rows)} more"] * (audit.unbalanced_rows > len(rows))
    return "\n".join(["Rows of the ledger that do not add up", *rows, *more])


def _dead_letters(dead: DeadLetterCounts) -> str:
    """Return the lines about dead letters. A difference is no fault: more may be counted than kept, or the reverse."""
    head = f"Dead letters of the writer in {dead.days:g} days: {dead.counted:,} counted, {dead.kept:,} kept"
    if dead.kept < dead.counted:
        return f"{head}\n  not kept: above 100 per second, counted twice, retried or dropped by hand, or out of space"
    if dead.kept > dead.counted:
        return f"{head}\n  not counted: of another database, or of a transaction that committed later or never"
    return head


def _moment(micros: int) -> str:
    return f"{datetime.fromtimestamp(micros // MICROS, UTC):%Y-%m-%d %H:%M:%S}"


def _duration(seconds: float) -> str:
    whole = max(0, int(seconds))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if whole >= 2 * size:
            return f"{whole // size} {unit}"
    return f"{whole} s"


def _messages(number: int) -> str:
    return f"{number:,} message{'s' * (number != 1)}"


def _rows(number: int) -> str:
    return f"{number:,} row{'s' * (number != 1)}"
