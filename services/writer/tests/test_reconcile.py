"""The journal against the ledger, as a specification: what is lost is named exactly, and nothing else is."""

import json

from hypothesis import given
from hypothesis import strategies as st
from seve_writer.audit import report
from seve_writer.audit.ranges import count, united
from seve_writer.audit.reconcile import Entries, Journal, Ledger, Outcomes, Unbalanced, reconcile

SECOND = 1_000_000
OLD, CREATED, JOURNAL, NOW = (number * 3600 * SECOND for number in (100, 200, 300, 400))
"""An earlier journal, the tables, the journal, the audit: in the order of a stack that was set up once."""


def spans(*numbers):
    return united((number, number) for number in numbers)


def members(spans):
    return {number for first, last in spans for number in range(first, last + 1)}


def entries(*rows, journal=JOURNAL, **outcomes):
    """Return the entries that the database computes from rows with these sequences."""
    named = [number for row in rows for number in row]
    return Entries(
        journal=journal, rows=len(rows), named=len(named), spans=spans(*named), outcomes=Outcomes(**outcomes)
    )


def audited(*rows, last, waiting=(), created=CREATED, end=None, since=None, others=()):
    journal = Journal(created=JOURNAL, last=last, held=spans(*waiting), oldest=NOW - 3 * SECOND if waiting else None)
    ledger = Ledger(created=created, entries=(*others, *([entries(*rows)] if rows else [])))
    return reconcile(journal, ledger, end=last if end is None else end, since=since)


def current(*rows, **more):
    return audited(*rows, **more).findings[-1]


FATES = st.lists(st.sampled_from(["stored", "waiting", "stored, not yet acknowledged", "lost"]), max_size=60)


@given(FATES, st.randoms())
def test_a_message_is_lost_if_neither_journal_nor_ledger_has_it(fates, random):
    """In any number of transactions, some of them repeated."""
    by_sequence = dict(enumerate(fates, 1))
    stored = [number for number, fate in by_sequence.items() if fate.startswith("stored")]
    waiting = [number for number, fate in by_sequence.items() if fate in ("waiting", "stored, not yet acknowledged")]
    rows = [[number for number in stored if random.random() < 0.3] for _ in range(3)] + [stored]
    audit = audited(*rows, last=len(fates), waiting=waiting)
    finding = audit.findings[-1]
    assert members(finding.lost) == {number for number, fate in by_sequence.items() if fate == "lost"}
    assert finding.accounted + finding.waiting + audit.lost == len(fates)
    assert finding.again == sum(map(len, rows[:3]))
    assert audit.sound == ("lost" not in fates)


def moments(order):
    """Return the journal's end, the sequences it holds, and those of the ledger, after each event. `order` names each
    message three times: it enters the journal, is committed, is acknowledged.
    """
    sequences, steps = {}, dict.fromkeys(order, 0)
    held, stored = set(), set()
    yield 0, set(), set()
    for message in order:
        steps[message] += 1
        sequence = sequences.setdefault(message, len(sequences) + 1)
        if steps[message] == 1:
            held.add(sequence)
        elif steps[message] == 2:
            stored.add(sequence)
        else:
            held.remove(sequence)
        yield len(sequences), set(held), set(stored)


@given(st.integers(1, 20).flatmap(lambda n: st.permutations([*range(n)] * 3)), st.data())
def test_no_moment_of_reading_raises_a_false_alarm(order, data):
    """Journal, ledger and end are read in this order; anything may happen in between."""
    history = list(moments(order))
    looks = sorted(data.draw(st.integers(0, len(order))) for _ in range(3))
    (last, held, _), (_, _, stored), (end, _, _) = (history[look] for look in looks)
    assert audited(stored, last=last, waiting=held, end=end).sound


def test_a_message_accounted_for_twice_is_no_fault():
    """Its acknowledgement was lost, and it was delivered and written again. The audit reports how often."""
    finding = current([1, 2, 3], [2, 3], [3], last=3)
    assert (finding.accounted, finding.again, finding.lost) == (3, 3, ())


def test_sequences_beyond_the_first_reading_arrived_meanwhile():
    """The journal was read before the ledger, and has grown since."""
    audit = audited([1, 2, 3, 4], last=2, end=4)
    assert audit.sound
    assert audit.findings[-1].accounted == 2


def test_a_journal_that_was_set_back_is_reported():
    """Its end, read last, is before the ledger's last sequence: numbers are used a second time."""
    audit = audited([1, 2, 3, 4], last=2, end=2)
    assert not audit.sound
    assert audit.findings[-1].beyond == ((3, 4),)
    assert "was set back: the ledger has 2 messages beyond its end (3-4)" in report.verdict(audit)


def test_a_journal_younger_than_the_tables_is_judged_from_its_first_message():
    """It was written into them from the beginning."""
    assert current([3], last=3).lost == ((1, 2),)
    assert current(last=3).lost == ((1, 3),)


def test_early_messages_of_a_journal_older_than_the_tables_are_unknown():
    """The ledger knows messages only from the first one that it or the journal has."""
    audit = audited([5, 6], last=8, waiting=[8], created=JOURNAL + 1)
    finding = audit.findings[-1]
    assert (finding.unknown, finding.lost, audit.sound) == (((1, 4),), ((7, 7),), False)
    assert current(last=8, created=JOURNAL + 1).unknown == ((1, 8),)
    assert current([3], last=3, created=JOURNAL).lost == ((1, 2),), "a journal as old as the tables is known whole"


def test_holes_in_a_replaced_journal_are_lost_and_its_end_is_unknown():
    """Messages that it held when it was recreated are lost with it."""
    audit = audited([1], last=1, others=[entries([1, 2], [5], journal=OLD)], created=OLD)
    before, now = audit.findings
    assert (before.current, before.last, before.lost, now.current, now.lost) == (False, 5, ((3, 4),), True, ())
    assert not audit.sound
    assert report.verdict(audit).endswith(": 3-4 of an earlier one")


def test_an_audit_from_a_sequence_on_leaves_out_earlier_losses():
    """With them it leaves out earlier journals."""
    others = [entries([2], journal=OLD)]
    assert not audited([4, 5], last=5, others=others, created=OLD).sound
    audit = audited([4, 5], last=5, others=others, created=OLD, since=4)
    assert audit.sound
    assert [(finding.first, finding.accounted) for finding in audit.findings] == [(4, 2)]


def test_rows_that_do_not_add_up_are_a_fault():
    journal = Journal(created=JOURNAL, last=1, held=())
    row = Unbalanced(id=7, sequences="{[1,2)}", received=2, outcomes=1)
    ledger = Ledger(created=CREATED, entries=(entries([1]),), unbalanced=(row,), unbalanced_rows=3)
    audit = reconcile(journal, ledger, end=1)
    assert not audit.sound
    text = report.report(audit, journal, LETTERS, NOW)
    assert "row 7, sequences {[1,2)}: received 2, outcomes 1\n  and 2 more" in text
    assert "WRONG: 3 rows of the ledger whose outcomes do not add up to received" in text


LETTERS = report.DeadLetterCounts(days=30, counted=2, kept=2)


def test_the_report_aligns_numbers_and_ends_with_the_verdict():
    """Spans are named; the whole text is compared."""
    journal = Journal(created=JOURNAL, last=1200, held=((1000, 1200),), oldest=NOW - 200 * SECOND)
    entries_ = Entries(
        journal=JOURNAL,
        rows=12,
        named=995,
        spans=((1, 499), (506, 999)),
        outcomes=Outcomes(received=1990, inserted=1980, replaced=8, dead=2),
    )
    audit = reconcile(journal, Ledger(created=CREATED, entries=(entries_,)), end=1300)
    assert (
        report.report(audit, journal, LETTERS, NOW)
        == """\
Journal created 1970-01-13 12:00:00 UTC
        1,200  entered    sequences 1 to 1200
          993  accounted  by 12 rows of the ledger; 2 delivered and written again, which is no fault
          201  waiting    in the journal, the oldest for 3 min
            6  lost       500-505
        1,990  envelopes  1,980 inserted + 0 updated + 8 replaced + 2 dead + 0 ignored

Dead letters of the writer in 30 days: 2 counted, 2 kept

LOST: 6 messages of the journal, neither in the database nor waiting: 500-505"""
    )


def test_a_good_verdict_is_one_line():
    assert report.verdict(audited([1, 2], last=2)) == "ACCOUNTED FOR: every message is in the database."
    text = report.verdict(audited([1, 2], last=4, waiting=[3, 4]))
    assert text == "ACCOUNTED FOR: every message is in the database, but 2 that wait."
    assert report.verdict(audited([2], last=2, since=2)) == "ACCOUNTED FOR: every message from 2 on is in the database."


def test_many_spans_are_cut_short_for_a_person_and_whole_for_a_program():
    audit = audited(range(2, 41, 2), last=40)
    journal = Journal(created=JOURNAL, last=40, held=())
    assert report.spelled(audit.findings[-1].lost).endswith("21, 23 and 8 more spans")
    data = json.loads(report.as_json(audit, journal, LETTERS, NOW))
    assert (data["ok"], data["lost"]) == (False, 20)
    assert data["journals"][-1]["lost"] == {"count": 20, "spans": [[number, number] for number in range(1, 40, 2)]}
    assert data["journals"][-1]["created"] == "1970-01-13T12:00:00.000000Z"


def test_dead_letters_are_compared_and_never_judged():
    """Some are suppressed or expire, and it is unknown which."""
    audit, journal = audited([1], last=1), Journal(created=JOURNAL, last=1, held=())

    def text(counted, kept):
        return report.report(audit, journal, report.DeadLetterCounts(days=30, counted=counted, kept=kept), NOW)

    assert "3 counted, 1 kept\n  not kept: above 100 per second" in text(3, 1)
    assert "1 counted, 3 kept\n  not counted" in text(1, 3)
    assert count(audit.findings[-1].lost) == 0
