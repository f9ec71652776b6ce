"""What is sent when: one message a subject at a time, in order, through refusals and resends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seve_ingest.publish.deliveries import Delivery
from seve_ingest.publish.subject_queues import FIRST_BACKOFF, LONGEST_BACKOFF, Lanes
from seve_schema.codec import MAX_BYTES, MAX_ENVELOPES, split


def add(lanes, subject, *parts):
    made = [Delivery(0, 0, 0, 0) for _ in parts]
    for part, delivery in zip(parts, made, strict=True):
        lanes.add(subject, part, delivery)
    return made


def sent(lanes):
    """What is ready, sent at time 0."""
    ready = list(lanes.ready())
    for publish in ready:
        publish.sent_at = 0.0
    return ready


def parts(publish):
    return [bytes(part) for part in split(publish.data)]


def test_what_came_together_goes_together():
    """One NATS message for each subject."""
    lanes = Lanes("n")
    add(lanes, "a", b"1", b"2")
    add(lanes, "b", b"3")
    assert [(each.subject, parts(each)) for each in sent(lanes)] == [("a", [b"1", b"2"]), ("b", [b"3"])]


def test_a_subject_waits_for_its_ack_and_no_other():
    """What comes meanwhile goes together in the next message of the subject."""
    lanes = Lanes("n")
    add(lanes, "a", b"1")
    [first] = sent(lanes)
    add(lanes, "a", b"2")
    add(lanes, "a", b"3")
    add(lanes, "b", b"4")
    assert [parts(each) for each in sent(lanes)] == [[b"4"]]
    _, following = lanes.held(first.number)
    assert parts(following) == [b"2", b"3"]


def test_a_message_carries_no_more_than_its_most():
    """256 envelopes or 128 KiB; a larger envelope goes alone."""
    lanes = Lanes("n")
    add(lanes, "a", *[b"1"] * (MAX_ENVELOPES + 1))
    add(lanes, "b", b"2" * (MAX_BYTES // 2), b"3" * (MAX_BYTES // 2))
    add(lanes, "c", b"4" * (2 * MAX_BYTES), b"5")
    assert [len(parts(each)) for each in sent(lanes)] == [MAX_ENVELOPES, 1, 1]


def test_ids_are_unique_and_stay_with_their_message():
    """A resend is recognised by JetStream."""
    lanes = Lanes("n")
    add(lanes, "a", b"1")
    add(lanes, "b", b"2")
    first, second = sent(lanes)
    assert first.id != second.id
    assert [first, second] == lanes.due(now=10, timeout=5)


def test_an_ack_counts_once():
    """A repeated publish is acknowledged twice."""
    lanes = Lanes("n")
    add(lanes, "a", b"1")
    [publish] = sent(lanes)
    assert lanes.held(publish.number) == (publish, None)
    assert lanes.held(publish.number) is None
    assert (lanes.envelopes, lanes.size) == (0, 0)


def test_nothing_is_due_before_its_time():
    """Only what waited longer than the timeout, or was lost with the connection."""
    lanes = Lanes("n")
    add(lanes, "a", b"1")
    [publish] = sent(lanes)
    assert lanes.due(now=4.9, timeout=5) == []
    lanes.unsent()
    assert [publish] == lanes.due(now=4.9, timeout=5)


def test_while_refused_one_is_tried_at_a_time_and_ever_more_rarely():
    """A full journal is not hammered."""
    lanes = Lanes("n")
    for subject in "abc":
        add(lanes, subject, b"1")
    first, *_ = flying = sent(lanes)
    for publish in flying:
        lanes.refused(publish.number, "full", now=0)
    assert (lanes.refusal, lanes.may_send()) == ("full", False)
    times, now = [], 0.0
    while len(times) < 8:
        now += 0.05
        if lanes.due(now, timeout=5) == [first]:
            times.append(now)
    waits = [after - before for before, after in zip([0.0, *times], times, strict=False)]
    assert waits[0] == pytest.approx(FIRST_BACKOFF, abs=0.06)
    assert waits == sorted(waits) or waits[-1] <= LONGEST_BACKOFF + 0.06
    lanes.held(first.number)
    assert (lanes.refusal, lanes.may_send()) == (None, True)
    assert {each.subject for each in lanes.due(now, timeout=5)} == {"b", "c"}


def test_a_dead_letter_needs_neither_order_nor_company():
    """It goes at once, under its own id."""
    lanes = Lanes("n")
    for number in range(2):
        lanes.add_alone("deadletter.ingest.malformed", b"{}", Delivery(0, 0, 0, 0), f"key{number}")
    assert [each.id for each in sent(lanes)] == ["key0", "key1"]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3)), max_size=100))
def test_order_holds_and_nothing_is_lost_whatever_happens(steps):  # noqa: C901  (a story of four sorts of events)
    """Adding, acks in any order, refusals, lost connections and timeouts: each subject's parts leave once, in order."""
    lanes, expected, held = Lanes("n"), {"a": [], "b": []}, {"a": [], "b": []}
    flying, now, number = [], 0.0, 0

    def take(publishes):
        for publish in publishes:
            publish.sent_at = now
            if publish not in flying:
                flying.append(publish)

    def ack(publish):
        flying.remove(publish)
        found = lanes.held(publish.number)
        held[publish.subject] += parts(publish)
        take([found[1]] if found[1] else [])

    for subject, action in steps:
        now += 1
        if action == 0:
            number += 1
            add(lanes, subject, b"%d" % number)
            expected[subject].append(b"%d" % number)
        elif action == 1 and flying:
            ack(flying[-1])
        elif action == 2 and flying:
            lanes.refused(flying[0].number, "full", now)
        elif action == 3:
            lanes.unsent()
        take(lanes.ready())
        take(lanes.due(now, 5))
    while flying:
        ack(flying[0])
        take(lanes.ready())
    assert expected == held
    assert (lanes.envelopes, lanes.size, lanes.in_flight) == (0, 0, 0)


def test_what_comes_while_ready_is_read_goes_with_the_rest_and_leaves_no_empty_message():
    """The reader may let others work between two messages; a subject that is yet to come is queued once."""
    lanes = Lanes("n")
    add(lanes, "a", b"1")
    add(lanes, "b", b"2")
    reading = lanes.ready()
    assert parts(next(reading)) == [b"1"]
    add(lanes, "b", b"3")
    assert [parts(publish) for publish in reading] == [[b"2", b"3"]]
    assert list(lanes.ready()) == []
