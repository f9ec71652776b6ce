"""When the session reads again: at once, or at a pace that grows with what comes."""

from seve_ingest.mqtt.read_pace import PACE, until_next_read


def test_a_message_that_comes_alone_is_read_as_soon_as_it_arrives():
    """So is the first one after it: a slow fleet waits for nothing."""
    assert until_next_read(1, since=60.0) == 0
    assert until_next_read(16, since=2 * PACE) == 0


def test_messages_that_follow_each_other_closely_are_read_together():
    """They share a message of the journal, and each wake-up behind it."""
    assert until_next_read(1, since=PACE) == PACE


def test_the_more_come_the_less_often_they_are_read():
    """Also after a burst, whose end is not known: the rest of it is 6 ms late at most."""
    paces = [until_next_read(messages, since=PACE) for messages in (16, 17, 64, 65, 10_000)]
    assert paces == [0.002, 0.004, 0.004, 0.006, 0.006]
    assert until_next_read(65, since=60.0) == 0.006
