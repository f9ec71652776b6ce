"""The newest messages in memory: which are held, which are dropped, and how far back the buffer reaches."""

import tracemalloc

from seve_broadcaster.stream.message import Message
from seve_broadcaster.stream.replay_buffer import Gap, ReplayBuffer
from seve_schema.codec import encode
from seve_schema.position import Position, Token, end_of
from support.broadcasting import envelope


def at(sequence):
    return Position(1, sequence)


def a_buffer(count, limit=1 << 30):
    buffer = ReplayBuffer(limit, at(0))
    for sequence in range(1, count + 1):
        buffer.append(Message.decode(at(sequence), "measurement", encode([envelope("a", float(sequence))])))
    return buffer


def sequences(buffer, token):
    return [item.position.sequence for item in buffer.after(token)]


def test_the_oldest_message_is_dropped_at_the_limit_and_never_the_newest():
    """Dropped messages move the floor and reduce the size."""
    one = a_buffer(1).size
    buffer = a_buffer(9, limit=3 * one)
    assert (len(buffer), buffer.floor, buffer.size) == (3, at(6), 3 * one)
    assert len(a_buffer(5, limit=1)) == 1


def test_a_dropped_message_frees_its_bytes():
    """A few thousand dropped messages of a megabyte each would otherwise hold gigabytes."""
    buffer = ReplayBuffer(1 << 20, at(0))
    tracemalloc.start()
    try:
        for sequence in range(1, 1001):
            buffer.append(Message(at(sequence), "measurement", bytes(64 << 10), [], [], {}))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert buffer.size <= 1 << 20
    assert held < 2 << 20


def test_the_buffer_is_right_after_thousands_were_dropped():
    """The places of dropped messages are removed from time to time; held messages are found before and after."""
    buffer = a_buffer(10_000, limit=100 * a_buffer(1).size)
    floor = buffer.floor.sequence
    assert sequences(buffer, end_of(buffer.floor)) == list(range(floor + 1, 10_001))
    assert sequences(buffer, end_of(at(9_998))) == [9_999, 10_000]


def test_the_buffer_does_not_reach_a_client_within_a_dropped_message():
    """The rest of that message is not in memory any more; a client that had all of it lacks nothing."""
    buffer = a_buffer(9, limit=3 * a_buffer(1).size)
    assert not buffer.reaches(Token(buffer.floor, 0))
    assert buffer.reaches(end_of(buffer.floor))
    assert buffer.reaches(Token(at(buffer.floor.sequence + 1), 0))
    assert not buffer.reaches(end_of(at(buffer.floor.sequence - 1)))


def test_a_partly_sent_message_is_returned_and_a_complete_one_is_not():
    """The token's place decides."""
    buffer = a_buffer(3)
    assert sequences(buffer, Token(at(2), 0)) == [2, 3]
    assert sequences(buffer, end_of(at(2))) == [3]


def test_a_message_is_returned_as_it_arrived():
    """Decoded again, with its gaps in their places."""
    buffer = a_buffer(2)
    buffer.append(Gap(at(2), at(5)))
    first, _, gap = buffer.after(end_of(at(0)))
    assert (first.kind, first.heads[0].module_id, gap) == ("measurement", "a", Gap(at(2), at(5)))
    assert bytes(first.parts[0]) == encode(envelope("a", 1.0))
