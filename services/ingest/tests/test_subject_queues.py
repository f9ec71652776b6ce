"""Each subject has one message in flight at a time, and keeps its order through refusals and resends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seve_ingest.publish.deliveries import Delivery
from seve_ingest.publish.subject_queues import SubjectQueues
from seve_schema.codec import MAX_BYTES, MAX_ENVELOPES, split


@pytest.fixture
def queues():
    return SubjectQueues("n")


def add(queues, subject, *parts):
    for part in parts:
        queues.add(subject, part, Delivery(0, 0, 0, 0))


def sent(queues):
    """Return the ready messages, sent at time 0."""
    ready = queues.ready()
    for publish in ready:
        publish.sent_at = 0.0
    return ready


def parts(publish):
    return [bytes(part) for part in split(publish.data)]


def test_envelopes_that_wait_together_are_published_together(queues):
    """One NATS message for each subject."""
    add(queues, "a", b"1", b"2")
    add(queues, "b", b"3")
    assert [(each.subject, parts(each)) for each in sent(queues)] == [("a", [b"1", b"2"]), ("b", [b"3"])]
    assert queues.ready() == []


def test_a_subject_waits_for_its_ack_and_no_other(queues):
    """Envelopes that arrive meanwhile share the next message of the subject."""
    add(queues, "a", b"1")
    [first] = sent(queues)
    add(queues, "a", b"2")
    add(queues, "a", b"3")
    add(queues, "b", b"4")
    assert [parts(each) for each in sent(queues)] == [[b"4"]]
    queues.held(first.number, 1)
    assert [parts(each) for each in sent(queues)] == [[b"2", b"3"]]


@pytest.mark.parametrize(
    ("sizes", "carried"),
    [
        ([1] * MAX_ENVELOPES, MAX_ENVELOPES),
        ([1] * (MAX_ENVELOPES + 1), MAX_ENVELOPES),
        ([MAX_BYTES // 2, MAX_BYTES - MAX_BYTES // 2 - 3], 2),
        ([MAX_BYTES // 2, MAX_BYTES - MAX_BYTES // 2 - 2], 1),
        ([2 * MAX_BYTES, 1], 1),
    ],
)
def test_a_message_is_bounded_in_envelopes_and_bytes(queues, sizes, carried):
    """256 envelopes or 128 KiB, brackets and commas counted; a larger envelope goes alone."""
    add(queues, "a", *[b"1" * size for size in sizes])
    [publish] = sent(queues)
    assert len(parts(publish)) == carried
    assert len(publish.data) <= MAX_BYTES or carried == 1


def test_a_publish_names_the_sequence_before_it(queues):
    """The sequence that the journal last reported, and none for the first message. Each message has its own id."""
    add(queues, "a", b"1")
    [first] = sent(queues)
    assert first.expected == 0
    queues.held(first.number, 7)
    add(queues, "a", b"2")
    [second] = sent(queues)
    assert second.expected == 7
    assert first.id != second.id


@pytest.mark.parametrize(
    ("known", "sequence", "stranger"), [(None, 9, False), (7, 9, True), (7, 5, False), (7, 0, False)]
)
def test_a_message_is_sent_again_behind_the_journals_sequence(queues, known, sequence, stranger):
    """The first message of a process expects nothing. If the sequence is lower, the last message was purged or the
    journal lost its end; a higher one is from another publisher.
    """
    if known:
        add(queues, "a", b"1")
        queues.held(sent(queues)[0].number, known)
    add(queues, "a", b"2")
    [publish] = sent(queues)
    assert queues.expect(publish, sequence) is stranger
    assert (publish.expected, publish.sent_at) == (sequence, None)


def test_discarded_envelopes_are_neither_sent_nor_counted(queues):
    """In a message in flight, and in the envelopes behind it; the others keep their order."""
    add(queues, "a", b"1", b"2", b"3")
    [publish] = sent(queues)
    add(queues, "a", b"2", b"4")
    assert len(queues.discard(publish, lambda part: part == b"2")) == 2
    assert parts(publish) == [b"1", b"3"]
    queues.held(publish.number, 1)
    [behind] = sent(queues)
    assert parts(behind) == [b"4"]
    assert len(queues.discard(behind, lambda _: True)) == 1
    queues.held(behind.number, 1)
    assert (queues.envelopes, queues.size, queues.ready()) == (0, 0, [])


def test_an_ack_counts_once(queues):
    """A repeated publish is acknowledged twice."""
    add(queues, "a", b"1")
    [publish] = sent(queues)
    assert queues.held(publish.number, 1) is publish
    assert queues.held(publish.number, 1) is None
    assert (queues.envelopes, queues.size, queues.in_flight) == (0, 0, 0)


def test_nothing_is_due_before_its_time(queues):
    """Only a message that waited longer than the timeout, or was lost with the connection."""
    add(queues, "a", b"1")
    [publish] = sent(queues)
    assert queues.due(now=4.9, timeout=5) == []
    assert queues.due(now=5.0, timeout=5) == [publish]
    queues.unsent()
    assert queues.due(now=4.9, timeout=5) == [publish]


def refuse(queues, now):
    """Let the journal refuse the messages in flight."""
    for subject in "abc":
        add(queues, subject, b"1")
    publishes = sent(queues)
    for publish in publishes:
        queues.refused(publish.number, "full", now=now)
    return publishes


def waits(queues, first, start):
    """Return the times between attempts in twenty seconds of refusals."""
    times, last = [], start
    for step in range(1, 401):
        now = start + step / 20
        if queues.due(now, timeout=5) == [first]:
            times.append(now - last)
            last = now
    return times


def test_a_refused_journal_gets_one_publish_at_a_time_with_backoff(queues):
    """A full journal is tried with one message at a time; once it accepts one, all are sent, and the backoff is
    reset.
    """
    first, *_ = refuse(queues, now=0)
    assert (queues.refusal, queues.may_send) == ("full", False)
    assert waits(queues, first, 0) == pytest.approx([0.25, 0.5, 1, 2, 4, 5, 5])
    queues.held(first.number, 1)
    assert (queues.refusal, queues.may_send) == (None, True)
    assert {each.subject for each in queues.due(20, timeout=5)} == {"b", "c"}
    add(queues, "a", b"2")
    [again] = sent(queues)
    queues.refused(again.number, "full", now=20)
    assert queues.due(20.2, timeout=60) == []
    assert len(queues.due(20.25, timeout=60)) == 1


def test_dead_letters_are_published_alone_and_unordered(queues):
    """Each is sent at once, with its own id."""
    for number in range(2):
        queues.add_alone("deadletter.ingest.malformed", b"{}", Delivery(0, 0, 0, 0), f"key{number}")
    assert [each.id for each in sent(queues)] == ["key0", "key1"]


def dead_letter(queues, now):
    """Queue and send a dead letter."""
    queues.add_alone("deadletter.ingest.malformed", b"{}", Delivery(0, 1, 0, 0), None)
    [publish] = sent(queues)
    publish.attempts, publish.first_sent_at, publish.sent_at = 1, now, now
    return publish


def test_a_refused_dead_letter_holds_back_no_other_message(queues):
    """It is sent again when its ack is late; if the journal refuses too, a message for the journal is tried first."""
    letter = dead_letter(queues, now=0)
    queues.refused(letter.number, "full", now=0)
    assert (queues.refusal, queues.may_send, queues.due(4.9, timeout=5)) == (None, True, [])
    assert queues.due(5, timeout=5) == [letter]
    add(queues, "a", b"1")
    [publish] = sent(queues)
    queues.refused(publish.number, "full", now=5)
    assert queues.due(5.25, timeout=5) == [publish]


def taken(queues, sequence):
    """Send a message that the journal accepts."""
    add(queues, "a", b"1")
    [publish] = sent(queues)
    queues.held(publish.number, sequence)


def test_dead_letters_are_dropped_if_only_their_stream_refuses(queues):
    """After half a minute, and later ones soon, until one is accepted."""
    first = dead_letter(queues, now=0)
    assert queues.give_up(now=60) == []
    taken(queues, 1)
    assert queues.give_up(now=29) == []
    assert queues.give_up(now=30) == [first]
    second = dead_letter(queues, now=31)
    taken(queues, 2)
    assert queues.give_up(now=31.9) == []
    assert queues.give_up(now=32) == [second]
    assert (queues.envelopes, queues.size, queues.in_flight) == (0, 0, 0)
    queues.held(dead_letter(queues, now=33).number, 1)
    third = dead_letter(queues, now=34)
    taken(queues, 3)
    assert queues.give_up(now=40) == []
    assert queues.give_up(now=64) == [third]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3)), max_size=100))
def test_order_holds_and_nothing_is_lost_whatever_happens(steps):  # noqa: C901  (a story of four sorts of events)
    """With acks in any order, refusals, lost connections and timeouts, each subject's envelopes are held once, in
    order.
    """
    queues, expected, held = SubjectQueues("n"), {"a": [], "b": []}, {"a": [], "b": []}
    in_flight, now, number = [], 0.0, 0

    def take(publishes):
        for publish in publishes:
            publish.sent_at = now
            if publish not in in_flight:
                in_flight.append(publish)

    def ack(publish):
        in_flight.remove(publish)
        queues.held(publish.number, 1)
        held[publish.subject] += parts(publish)
        take(queues.ready())

    for subject, action in steps:
        now += 1
        if action == 0:
            number += 1
            add(queues, subject, b"%d" % number)
            expected[subject].append(b"%d" % number)
        elif action == 1 and in_flight:
            ack(in_flight[-1])
        elif action == 2 and in_flight:
            queues.refused(in_flight[0].number, "full", now)
        elif action == 3:
            queues.unsent()
        take(queues.ready())
        take(queues.due(now, 5))
    while in_flight:
        ack(in_flight[0])
    assert expected == held
    assert (queues.envelopes, queues.size, queues.in_flight) == (0, 0, 0)
