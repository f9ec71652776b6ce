"""Deliveries are acknowledged in order."""

from hypothesis import given
from hypothesis import strategies as st
from seve_ingest.publish.deliveries import AckQueue, Delivery


def delivery(mid, parts=1, connection=1):
    made = Delivery(mid, 1, connection, 0)
    made.open = parts
    return made


def test_acknowledgements_keep_the_order_of_arrival():
    """A delivery that is held early waits for those before it."""
    queue, first, second = AckQueue(), delivery(1), delivery(2)
    queue.add(first)
    queue.add(second)
    second.open = 0
    assert queue.take(1) == []
    first.open = 0
    assert [first, second] == queue.take(1)
    assert queue.waiting == 0


def test_an_acknowledgement_of_an_earlier_connection_is_discarded():
    """Its packet identifier may mean another message by now."""
    queue = AckQueue()
    queue.add(delivery(1, parts=0, connection=1))
    queue.add(delivery(1, parts=0, connection=2))
    assert [each.connection for each in queue.take(2)] == [2]


@given(st.lists(st.integers(0, 19), max_size=60))
def test_every_delivery_is_acknowledged_once_whatever_the_order_of_acks(order):
    """And never before an earlier one."""
    queue, all_ = AckQueue(), [delivery(mid) for mid in range(20)]
    for each in all_:
        queue.add(each)
    acknowledged = []
    for held in [*order, *range(20)]:
        all_[held].open = 0
        acknowledged += queue.take(1)
    assert all_ == acknowledged
