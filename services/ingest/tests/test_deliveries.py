"""Acknowledging in order, and knowing what was seen before."""

from hypothesis import given
from hypothesis import strategies as st
from seve_ingest.publish.deliveries import KNOWN_BEFORE, Delivery, Keys, Queue, Seen


def delivery(mid, parts=1, connection=1):
    made = Delivery(mid, 1, connection, 0)
    made.open = parts
    return made


def test_acknowledgements_keep_the_order_of_arrival():
    """One that is held early waits for those before it."""
    queue, first, second = Queue(), delivery(1), delivery(2)
    queue.add(first)
    queue.add(second)
    second.open = 0
    assert queue.finished(1) == []
    first.open = 0
    assert [first, second] == queue.finished(1)
    assert queue.waiting == 0


def test_an_acknowledgement_of_an_earlier_connection_is_discarded():
    """Its packet identifier may mean another message by now."""
    queue = Queue()
    queue.add(delivery(1, parts=0, connection=1))
    queue.add(delivery(1, parts=0, connection=2))
    assert [each.connection for each in queue.finished(2)] == [2]


@given(st.lists(st.integers(0, 19), max_size=60))
def test_every_delivery_is_acknowledged_once_whatever_the_order_of_acks(order):
    """And never before one that came earlier."""
    queue, all_ = Queue(), [delivery(mid) for mid in range(20)]
    for each in all_:
        queue.add(each)
    acknowledged = []
    for held in [*order, *range(20)]:
        all_[held].open = 0
        acknowledged += queue.finished(1)
    assert all_ == acknowledged


def test_a_key_depends_on_client_identifier_topic_and_payload():
    """And on where the topic ends."""
    keys = Keys("a")
    same = keys.digest(1, b"m/co2", b"1")
    assert same == keys.digest(1, b"m/co2", b"1")
    others = {
        keys.digest(2, b"m/co2", b"1"),
        keys.digest(1, b"m/co", b"21"),
        keys.digest(1, b"m/co2", b"2"),
        Keys("b").digest(1, b"m/co2", b"1"),
    }
    assert len(others | {same}) == 5


def test_a_key_tells_its_client():
    """So that of several ingests each finds its own in HISTORY."""
    keys = Keys("a")
    assert keys.digest(1, b"m/co2", b"1").startswith(keys.client)
    assert keys.client != Keys("b").client


def test_history_tells_which_parts_of_a_message_are_held():
    """A message of three envelopes of which two were published before the end."""
    seen = Seen(10)
    seen.load(["k1:0", "k1:2", "k2:0"])
    assert (frozenset({0, 2}), frozenset({0}), None) == (seen.get("k1"), seen.get("k2"), seen.get("k3"))


def test_only_the_newest_of_history_are_remembered():
    """Packet identifiers come round: an old key could be taken for a new message's."""
    seen = Seen(10)
    seen.load(f"k{n}:0" for n in range(KNOWN_BEFORE + 5))
    assert (None, frozenset({0})) == (seen.get("k4"), seen.get("k5"))


def test_what_was_known_before_a_connection_outlives_any_number_of_new_messages():
    """NATS brings unacknowledged messages again seconds after newer ones."""
    seen = Seen(10)
    seen.load(["before:0"])
    for number in range(1000):
        seen.add(f"new{number}", delivery(1))
    assert frozenset({0}) == seen.get("before")


def test_a_new_connection_remembers_what_was_in_flight_at_its_start():
    """However many messages come before it is brought again."""
    seen, flying = Seen(10), delivery(1)
    seen.add("flying", flying)
    seen.connected()
    for number in range(1000):
        seen.add(f"new{number}", delivery(1))
    assert flying is seen.get("flying")


def test_what_is_known_is_bounded():
    """Two generations of this connection."""
    seen = Seen(10)
    for number in range(1000):
        seen.add(f"k{number}", delivery(1))
    assert 10 <= sum(seen.get(f"k{number}") is not None for number in range(1000)) < 20
