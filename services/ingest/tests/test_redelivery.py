"""Knowing what the broker sent before: by packet identifier, exactly, in bounded space."""

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from seve_ingest.publish.deliveries import AckQueue, Delivery
from seve_ingest.publish.redelivery import (
    IDENTIFIERS,
    REMEMBERED,
    KnownKey,
    RedeliveryMemory,
    client_digest,
    content_digest,
)


def delivery(mid, content="c", *, connection=1, received_at=0, acknowledged=False):
    return Delivery(mid, 1, connection, received_at, content, acknowledged=acknowledged)


@pytest.fixture
def memory():
    return RedeliveryMemory()


def test_a_content_depends_on_topic_and_payload():
    """And on where the topic ends."""
    digests = {content_digest(b"m/co2", b"1"), content_digest(b"m/co", b"21"), content_digest(b"m/co2", b"2")}
    assert len(digests) == 3
    assert content_digest(b"m/co2", b"1") in digests


def test_a_key_names_client_identifier_content_and_index():
    """So that one ingest among several finds its own."""
    mine, content = client_digest("mine"), content_digest(b"m/co2", b"1")
    assert KnownKey.of(f"{mine}00ff{content}:3", mine) == KnownKey(255, content, 3)
    assert KnownKey.of(f"{client_digest('other')}00ff{content}:3", mine) is None


@pytest.mark.parametrize(
    "rest", ["", ":", "00ff", "00ff0123456789abcdef", "00ff0123456789abcdef:", "zzzz" + "0" * 16 + ":0"]
)
def test_a_text_that_is_no_key_is_none(rest):
    """Anyone who may publish to the journal may have written it."""
    assert KnownKey.of(client_digest("mine") + rest, client_digest("mine")) is None


def test_the_newest_of_an_identifier_is_known_whatever_came_after_it(memory):
    """However many messages with other identifiers."""
    first = delivery(1, "first")
    memory.add(first)
    for number in range(2, 50_000):
        memory.add(delivery(number, f"{number}"))
    assert memory.recall(1, "first", dup=True, now=0) is first


def test_a_reused_identifier_forgets_its_old_message(memory):
    """The broker took the acknowledgement before it used the identifier again."""
    memory.add(delivery(1, "old"))
    memory.add(delivery(1, "new"))
    assert memory.recall(1, "old", dup=True, now=0) is None


def test_the_journal_tells_which_parts_of_a_message_are_held(memory):
    """A message of three envelopes of which two were published before the end; an older message is passed over."""
    memory.load([KnownKey(1, "new", 2), KnownKey(2, "two", 0), KnownKey(1, "new", 0), KnownKey(1, "old", 1)])
    assert memory.recall(1, "new", dup=True, now=0).held == frozenset({0, 2})
    assert memory.recall(2, "two", dup=True, now=0).held == frozenset({0})
    assert memory.recall(1, "old", dup=True, now=0) is None


def test_a_lost_session_is_forgotten(memory):
    """Identifiers begin anew; the caller learns whether there was anything to lose."""
    assert memory.session_lost() is False
    memory.add(delivery(1))
    assert memory.session_lost() is True
    assert memory.recall(1, "c", dup=True, now=0) is None


def test_a_lost_connection_keeps_unacknowledged_messages_and_forgets_the_oldest_others(memory):
    """Identifiers come round: an equal message with an old identifier is a new one that was lost on its way."""
    owed = delivery(1, "owed", received_at=1)
    memory.add(owed)
    for mid in range(2, IDENTIFIERS + 1):
        memory.add(delivery(mid, received_at=mid, acknowledged=True))
    memory.connection_lost([owed])
    assert memory.recall(1, "owed", dup=True, now=0) is owed
    oldest_known = IDENTIFIERS - REMEMBERED + 1
    assert memory.recall(oldest_known - 1, "c", dup=True, now=0) is None
    assert memory.recall(oldest_known, "c", dup=True, now=0) is not None


@pytest.mark.parametrize("dup", [True, False])
def test_an_unacknowledged_message_is_known_once_under_another_identifier(memory, dup):
    """nats-server assigns new identifiers after a restart, and after a kill has forgotten which messages it sent. Two
    equal messages may change places.
    """
    owed = delivery(500, "owed")
    memory.add(owed)
    memory.connection_lost([owed])
    assert memory.recall(1, "owed", dup=dup, now=0) is owed
    assert owed.mid == 1
    assert memory.recall(2, "owed", dup=True, now=0) is None
    assert memory.recall(500, "owed", dup=True, now=0) is None


def test_a_message_is_known_under_another_identifier_if_its_late_acknowledgement_crossed_its_redelivery(memory):
    """nats-server, within a connection. It comes once."""
    first = delivery(7, "crossed", acknowledged=True)
    memory.add(first, delivery(8, "newer"))
    memory.add_late([first], now=0)
    assert memory.recall(9, "newer", dup=True, now=0) is None
    assert memory.recall(9, "crossed", dup=False, now=0) is None
    assert memory.recall(9, "crossed", dup=True, now=0) is first
    assert first.mid == 7
    assert memory.recall(10, "crossed", dup=True, now=0) is None


@pytest.mark.parametrize(("seconds", "known"), [(9.9, True), (10, False)])
def test_a_redelivery_follows_the_acknowledgement_that_it_crossed(memory, seconds, known):
    """Later an equal message is a new one."""
    memory.add_late([delivery(7)], now=5)
    assert bool(memory.recall(9, "c", dup=True, now=5 + round(seconds * 1_000_000))) == known


def test_an_acknowledgement_of_a_lost_connection_crosses_nothing(memory):
    """What comes again then keeps its identifier, or was unanswered."""
    memory.add_late([delivery(7)], now=0)
    memory.connection_lost([])
    assert memory.recall(9, "c", dup=True, now=0) is None


def test_late_acknowledgements_are_remembered_within_bounds():
    """The newest of them, in the time of their latest acknowledgement."""
    memory = RedeliveryMemory(identifiers=3, window=1)
    memory.add_late([delivery(1, "a"), delivery(2, "b"), delivery(3, "c"), delivery(1, "a"), delivery(2, "d")], now=0)
    assert [content for content in "abcd" if memory.recall(3, content, dup=True, now=0)] == ["a", "c", "d"]


class Broker(RuleBasedStateMachine):
    """A broker of the MQTT standard and the memory: every message that reaches ingest is published exactly once.

    The identifiers are few, so that they come round often; contents are fewer still, so that different messages are
    often equal.
    """

    IDENTIFIERS, WINDOW = 12, 4
    EQUAL = True

    def __init__(self):
        super().__init__()
        self.memory, self.acks, self.connection = RedeliveryMemory(self.IDENTIFIERS, self.WINDOW), AckQueue(), 1
        self.in_flight = {}  # by identifier: number and content of the message
        self.socket = []  # what is on its way to ingest
        self.acknowledged = []  # identifiers on their way to the broker
        self.number = self.mid = 0
        self.sent, self.published, self.clock = Counter(), Counter(), 0
        self.told = set()  # numbers of the messages that ingest acknowledged
        self.forgotten = Counter()  # of those, what a restart made the broker send anew: not known to be a redelivery

    @rule(content=st.sampled_from("abc"))
    def publish(self, content):
        """The broker has a new message, and sends it where an identifier is free."""
        if len(self.in_flight) < self.WINDOW:
            self.mid, self.number = self.mid % self.IDENTIFIERS + 1, self.number + 1
            while self.mid in self.in_flight:
                self.mid = self.mid % self.IDENTIFIERS + 1
            content = content if self.EQUAL else f"{self.number}"
            self.in_flight[self.mid] = (self.number, content)
            self.socket.append((self.mid, content, False))
            self.sent[content] += 1

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data())
    def send_again(self, data):
        """After its ack wait, as 3.1.1 allows, with the same identifier."""
        mid = data.draw(st.sampled_from(sorted(self.in_flight)))
        self.socket.append((mid, self.in_flight[mid][1], True))

    @precondition(lambda self: self.socket)
    @rule()
    def receive(self):
        """Ingest reads one message."""
        mid, content, dup = self.socket.pop(0)
        self.clock += 1
        new = delivery(mid, content, connection=self.connection, received_at=self.clock)
        new.open = 1
        known = self.memory.recall(mid, content, dup=dup, now=0)
        if known:
            assert known.mid == mid
            if known.acknowledged and known.connection != self.connection:
                new.open = 0
                self.memory.add(new)
                self.acks.add(new)
            else:
                known.connection = self.connection
            return
        self.memory.add(new)
        self.acks.add(new)
        self.published[content] += 1

    @rule(data=st.data())
    def hold(self, data):
        """The journal holds some of the messages; what is in order is acknowledged."""
        for waiting in self.acks.unacknowledged():
            if data.draw(st.booleans()):
                waiting.open = 0
        done = [each.mid for each in self.acks.take(self.connection)]
        self.told |= {self.in_flight[mid][0] for mid in done}
        self.acknowledged += done

    @precondition(lambda self: self.acknowledged)
    @rule()
    def take_acknowledgement(self):
        """The broker hears of one."""
        del self.in_flight[self.acknowledged.pop(0)]

    @rule()
    def lose_the_connection(self):
        """What is on its way is lost in both directions; all that the broker has in flight comes again, in order."""
        self.acknowledged.clear()
        self.connection += 1
        self.memory.connection_lost(self.acks.unacknowledged())
        self.acks.take(self.connection)
        self.socket = [
            (mid, content, True) for mid, (_, content) in sorted(self.in_flight.items(), key=lambda each: each[1])
        ]

    @invariant()
    def nothing_is_published_twice(self):
        """Whatever was read so far."""
        assert all(self.published[each] <= count + self.forgotten[each] for each, count in self.sent.items())

    def teardown(self):
        """In the end, all is published."""
        self.lose_the_connection()
        while self.socket:
            self.receive()
        assert all(self.published[content] >= count for content, count in self.sent.items())
        self.nothing_is_published_twice()


class NatsListener(Broker):
    """nats-server: after a restart it numbers anew, and may have forgotten that it sent a message. Contents differ: an
    equal message that was lost on its way could have the identifier of one that was acknowledged.
    """

    EQUAL = False

    @rule(data=st.data())
    def restart(self, data):
        """What was acknowledged before is taken, unless the acknowledgement was lost with a connection: what is then
        numbered anew is published again, as decision 0109 says.
        """
        while self.acknowledged:
            self.take_acknowledgement()
        self.forgotten.update(content for number, content in self.in_flight.values() if number in self.told)
        self.in_flight = dict(enumerate(sorted(self.in_flight.values()), start=1))
        self.mid = len(self.in_flight)
        self.lose_the_connection()
        self.socket = [(mid, content, data.draw(st.booleans())) for mid, content, _ in self.socket]


Broker.TestCase.settings = NatsListener.TestCase.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None
)
test_every_message_is_published_once_whatever_a_broker_sends_again = Broker.TestCase
test_every_message_is_published_once_whatever_nats_listener_sends_again = NatsListener.TestCase
