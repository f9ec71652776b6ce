"""What becomes of a read, message by message, and of an ack: times, duplicates, dead letters, outcomes."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from seve_ingest import metrics
from seve_ingest.deadletters.build import PER_SECOND, PER_SECOND_OF_MODULE
from seve_ingest.mqtt.framing import DUP, Arrival, Cut
from seve_ingest.normalise.normaliser import Normaliser
from seve_ingest.pipeline import DROPPED, Pipeline
from seve_ingest.publish.redelivery import UNREAD, KnownKey, RedeliveryMemory, content_digest
from seve_ingest.publish.subject_queues import SubjectQueues
from seve_ingest.routing.routes import NATIVE, RouteTable
from seve_schema.codec import decode_envelopes
from seve_schema.deadletter import decode_deadletter
from seve_schema.times import parse_time, to_micros

NOW = to_micros(parse_time("2025-11-30T19:00:00Z"))
QOS1 = 0x32


class Fixture:
    """A pipeline whose clock stands still unless it is set, and what it would send."""

    def __init__(self, **limits):
        self.now = NOW
        self.memory = RedeliveryMemory()
        rules = Normaliser(RouteTable(("native", route) for route in NATIVE), retention=90 * 86400.0)
        limits = {"max_inflight": 100, "max_bytes": 1 << 20, **limits}
        self.pipeline = Pipeline(
            rules, SubjectQueues("n"), self.memory, ingest="in", client_id="client", clock=lambda: self.now, **limits
        )
        self.before = self.outcomes(raw=True)

    def take(self, *arrivals, unread=0.0):
        self.pipeline.take([Arrival(*arrival) for arrival in arrivals], unread)
        return self.pipeline.queues.ready()

    def hold(self, publishes):
        """JetStream acknowledges these, and what follows them; gives what is then acknowledged to the broker."""
        waiting = list(publishes)
        while waiting:
            self.pipeline.held(waiting.pop(0).number, 1)
            waiting += self.pipeline.queues.ready()
        return [delivery.mid for delivery in self.pipeline.acknowledgeable()]

    def outcomes(self, *, raw=False):
        """Outcomes counted since the fixture was made."""
        found = {
            (sample.labels["outcome"], sample.labels["reason"]): sample.value
            for metric in REGISTRY.collect()
            if metric.name == "seve_ingest_outcomes"
            for sample in metric.samples
            if sample.name.endswith("_total")
        }
        if raw:
            return found
        return {key: value - self.before.get(key, 0) for key, value in found.items() if value > self.before.get(key, 0)}


@pytest.fixture
def fixture():
    return Fixture()


def envelopes(publishes):
    return [envelope for publish in publishes for envelope in decode_envelopes(publish.data)]


def test_times_of_receipt_strictly_increase(fixture):
    """Two samples of one read, or of a clock that stands still, never share a key."""
    found = envelopes(fixture.take((b"a/x", b"1", 1, QOS1), (b"b/x", b"2", 2, QOS1)))
    found += envelopes(fixture.take((b"c/logs", b"3", 3, QOS1)))
    assert len({each.received_at for each in found}) == 3
    assert sorted(each.received_at for each in found) == [each.received_at for each in found]


def test_a_message_is_acknowledged_when_all_it_became_is_held(fixture):
    """Not when it is read, not when it is sent."""
    publishes = fixture.take((b"a/x", b"1", 1, QOS1))
    assert fixture.pipeline.acknowledgeable() == []
    assert fixture.hold(publishes) == [1]
    assert fixture.outcomes() == {("published", ""): 1}


def test_qos_0_is_published_and_not_acknowledged(fixture):
    """It has no delivery key: nothing will ever bring it again."""
    publishes = fixture.take((b"a/x", b"1", 0, 0x30))
    assert [each.delivery_key for each in envelopes(publishes)] == [None]
    assert fixture.hold(publishes) == []
    assert fixture.outcomes() == {("published", ""): 1}


def test_a_redelivery_of_a_stored_message_is_acknowledged_and_not_published(fixture):
    """So ends a kill between JetStream's ack and the PUBACK."""
    fixture.memory.load([KnownKey(1, content_digest(b"a/x", b"1"), 0)])
    assert fixture.take((b"a/x", b"1", 1, QOS1 | DUP)) == []
    assert fixture.hold([]) == [1]
    assert fixture.outcomes() == {("duplicate", ""): 1}


def test_a_redelivery_of_an_unstored_message_is_published(fixture):
    """So ends a kill before JetStream's ack."""
    publishes = fixture.take((b"a/x", b"1", 1, QOS1 | DUP))
    assert fixture.hold(publishes) == [1]
    assert fixture.outcomes() == {("published", ""): 1}


def test_an_equal_message_that_is_no_redelivery_is_published(fixture):
    """Without DUP it is a new message, whatever its identifier and payload."""
    assert fixture.hold(fixture.take((b"a/x", b"1", 1, QOS1))) == [1]
    assert fixture.hold(fixture.take((b"a/x", b"1", 1, QOS1))) == [1]
    assert fixture.outcomes() == {("published", ""): 2}


def test_a_redelivery_of_a_message_in_flight_waits_for_its_ack(fixture):
    """On a new connection the acknowledgement is owed there, and only once JetStream holds the first."""
    publishes = fixture.take((b"a/x", b"1", 1, QOS1))
    fixture.pipeline.connection_lost()
    assert fixture.take((b"a/x", b"1", 1, QOS1 | DUP)) == []
    assert fixture.pipeline.acknowledgeable() == []
    assert fixture.hold(publishes) == [1]
    assert fixture.outcomes() == {("published", ""): 1, ("duplicate", ""): 1}


def test_a_redelivery_within_a_connection_is_acknowledged_once(fixture):
    """NATS brings again what waits longer than its ack wait."""
    publishes = fixture.take((b"a/x", b"1", 1, QOS1))
    fixture.take((b"a/x", b"1", 1, QOS1 | DUP))
    assert fixture.hold(publishes) == [1]


def test_an_acknowledgement_lost_with_its_connection_is_repeated(fixture):
    """The message is held; the broker did not hear of it."""
    assert fixture.hold(fixture.take((b"a/x", b"1", 1, QOS1))) == [1]
    fixture.pipeline.connection_lost()
    assert fixture.take((b"a/x", b"1", 1, QOS1 | DUP)) == []
    assert fixture.hold([]) == [1]


def test_a_dead_letter_is_acknowledged_once_jetstream_holds_it(fixture):
    """It carries topic, payload, reason and key."""
    [publish] = fixture.take((b"a/system", b"no json", 1, QOS1))
    dead_letter = decode_deadletter(publish.data)
    assert (publish.subject, dead_letter.payload, dead_letter.topic) == (
        "deadletter.ingest.malformed",
        b"no json",
        "a/system",
    )
    assert publish.id.startswith(dead_letter.delivery_key)
    assert fixture.pipeline.acknowledgeable() == []
    assert fixture.hold([publish]) == [1]
    assert fixture.outcomes() == {("deadletter", "malformed"): 1}


def test_a_dead_letter_that_is_given_up_is_counted_and_acknowledged(fixture):
    """What came after it was held back, since MQTT acknowledges in order."""
    letter, *_ = publishes = fixture.take((b"a/system", b"no json", 1, QOS1), (b"a/x", b"1", 2, QOS1))
    letter.attempts = 1
    assert fixture.hold([each for each in publishes if each is not letter]) == []
    assert fixture.pipeline.give_up(0) == 0
    assert fixture.pipeline.give_up(30) == 1
    assert fixture.hold([]) == [1, 2]
    assert fixture.outcomes() == {("suppressed", "malformed"): 1, ("published", ""): 1}


def test_the_dead_letter_of_a_too_long_payload_is_cut(fixture):
    """Size and digest are of the whole."""
    cut = Cut(b"x" * (256 * 1024 + 1))
    cut.size, cut.digest = 1_000_000, "abc"
    [publish] = fixture.take((b"a/x", cut, 1, QOS1))
    dead_letter = decode_deadletter(publish.data)
    assert (
        len(dead_letter.payload),
        dead_letter.size,
        dead_letter.digest,
        dead_letter.reason,
    ) == (256 * 1024, 1_000_000, "abc", "too_large")


def test_dead_letters_beyond_the_bound_are_counted_and_acknowledged(fixture):
    """Many faulty devices do not fill the stream of dead letters."""
    publishes = fixture.take(*[(b"m%d/system" % mid, b"no json", mid, QOS1) for mid in range(1, PER_SECOND + 51)])
    assert len(publishes) == PER_SECOND
    assert len(fixture.hold(publishes)) == PER_SECOND + 50
    assert fixture.outcomes() == {("deadletter", "malformed"): PER_SECOND, ("suppressed", "malformed"): 50}


def test_dead_letters_are_bounded_per_module(fixture):
    """A module's surplus takes nothing from the reason's quota."""
    fixture.take(*[(b"loud/system", b"no json", mid, QOS1) for mid in range(1, PER_SECOND + 51)])
    assert len(fixture.take((b"quiet/system", b"no json", 1000, QOS1))) == 1
    suppressed = PER_SECOND + 50 - PER_SECOND_OF_MODULE
    assert fixture.outcomes()["suppressed", "malformed"] == suppressed


def test_an_ignored_message_is_acknowledged_in_order(fixture):
    """Acknowledgements keep their order."""
    publishes = fixture.take((b"a/x", b"1", 1, QOS1), (b"a/x", b"", 2, QOS1))
    assert fixture.pipeline.acknowledgeable() == []
    assert fixture.hold(publishes) == [1, 2]
    assert fixture.outcomes() == {("published", ""): 1, ("ignored", "cleared"): 1}


def test_reading_stops_at_the_bound_in_flight_and_resumes_below_it():
    """Messages and bytes both count."""
    by_count, by_bytes = Fixture(max_inflight=4), Fixture(max_bytes=2000)
    for fixture in (by_count, by_bytes):
        publishes = fixture.take(*[(b"m%d/x" % mid, b"1", mid, QOS1) for mid in range(1, 5)])
        fixture.take(*[(b"n%d/x" % mid, b"1", mid, QOS1) for mid in range(5, 12)])
        assert (fixture.pipeline.full, fixture.pipeline.eased) == (True, False)
        more = list(publishes) + list(fixture.pipeline.queues.due(0, 0))
        fixture.hold(more)
        assert (fixture.pipeline.full, fixture.pipeline.eased) == (False, True)


def test_a_huge_envelope_is_a_dead_letter(fixture):
    """Escapes can make an envelope of more than NATS takes out of a payload that is allowed."""
    [publish] = fixture.take((b"a/b/c/d", b'"' + b"\\u0001" * 43_000 + b'"', 1, QOS1), (b"x", b"", 2, QOS1))
    assert publish.subject == "telemetry.in.other"
    noise = b"\x01" * 200_000
    [publish] = fixture.take((b"h/b/c/d", noise, 3, QOS1))
    assert publish.subject == "deadletter.ingest.too_large"


def test_an_exception_in_ingest_costs_one_message(fixture, monkeypatch):
    """It becomes a dead letter and is logged; its neighbours are published."""

    class Broken:
        """A normaliser with a fault."""

        place = fixture.pipeline._normalise.place

        def plain(self, topic, payload, *options):
            if payload == b"bad":
                raise ZeroDivisionError
            return rules.plain(topic, payload, *options)

        def __call__(self, topic, payload, **options):
            self.plain(topic, payload, NOW, "null")
            return rules(topic, payload, **options)

    rules = fixture.pipeline._normalise
    monkeypatch.setattr(fixture.pipeline, "_normalise", Broken())
    publishes = fixture.take((b"a/x", b"1", 1, QOS1), (b"a/x", b"bad", 2, QOS1), (b"b/x", b"3", 3, QOS1))
    assert fixture.hold(publishes) == [1, 2, 3]
    assert fixture.outcomes() == {("published", ""): 2, ("deadletter", "malformed"): 1}


def test_a_value_that_is_no_number_is_published_as_null_and_kept(fixture):
    """One outcome: the dead letter."""
    publishes = fixture.take((b"a/x", b"warm", 1, QOS1))
    subjects = {each.subject for each in publishes}
    assert subjects == {"telemetry.in.measurement", "deadletter.ingest.not_a_number"}
    assert fixture.hold(publishes) == [1]
    assert fixture.outcomes() == {("deadletter", "not_a_number"): 1}


@pytest.mark.parametrize("payload", [b"9" * 21, b"9" * 310, b"9" * 5000, b"-1", "\u0663".encode(), b"1e9", b""])
def test_a_forged_count_of_dropped_messages_is_ignored(fixture, payload):
    """A device may be able to publish there: its neighbours in the read are published and acknowledged."""
    publishes = fixture.take((b"a/x", b"1", 1, QOS1), (DROPPED, payload, 2, QOS1), (b"b/x", b"2", 3, QOS1))
    assert [each.value for each in envelopes(publishes)] == [1, 2]
    assert fixture.hold(publishes) == [1, 2, 3]


def test_the_brokers_count_of_dropped_messages_is_shown(fixture):
    """As Mosquitto tells them, which counts in 64 bits."""
    fixture.take((DROPPED, b"18446744073709551615", 0, 0x30))
    assert REGISTRY.get_sample_value("seve_ingest_broker_dropped_messages") == float(2**64 - 1)


@given(
    st.lists(
        st.tuples(
            st.binary(max_size=20) | st.just(DROPPED) | st.binary(max_size=10).map(lambda rest: b"$SYS/" + rest),
            st.binary(max_size=30) | st.integers(0, 10**400).map(lambda number: b"%d" % number),
            st.integers(1, 65_535),
            st.sampled_from([0x30, 0x31, 0x32, 0x33, 0x34, 0x3A, 0x3B]),
        ),
        max_size=20,
    )
)
@settings(deadline=None)
def test_any_read_ends_with_every_message_acknowledged(arrivals):
    """For any bytes `take` returns, and once its envelopes are held, every message is acknowledged in order."""
    fixture = Fixture(max_inflight=10_000, max_bytes=1 << 30)
    mids = fixture.hold(fixture.take(*arrivals))
    assert all(mid in {each[2] for each in arrivals} for mid in mids)
    assert (fixture.pipeline.acks.waiting, fixture.pipeline.queues.envelopes) == (0, 0)
    assert sum(fixture.outcomes().values()) == len(arrivals)


def became(arrivals, *, alone):
    """What a pipeline made of one read: messages, outcomes and repairs, acknowledgements in their order."""
    fixture = Fixture(max_inflight=10_000, max_bytes=1 << 30)
    if alone:
        fixture.memory.unanswered["another message's content"] = []
    repairs = Counter(metrics.totals.repairs)
    publishes = fixture.take(*arrivals)
    sent = [(each.subject, each.data) for each in publishes]
    mids = fixture.hold(publishes)
    return sent, mids, fixture.outcomes(), +(Counter(metrics.totals.repairs) - repairs)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"a/x", b"b/dht22/y", b"a/system", b"a", b"$SYS/x", b"\xc3\xa9/x", b"a/\xff"]),
            st.sampled_from([b"1", b"-2.50", b'{"value":3}', b'{"value":4,"time":"2025-11-30T18:59:59Z"}', b"", b"x"])
            | st.sampled_from([b'{"value":5,"time":1764529140}', b'{"value":1,"unit":"V"}', b"1" * 200, b"{}", b"[1]"]),
            st.integers(1, 65_535),
            st.sampled_from([0x30, 0x31, 0x32, 0x33, 0x34, 0x3A]),
        ),
        max_size=20,
        unique_by=lambda arrival: arrival[2],
    )
)
@settings(deadline=None)
def test_a_read_becomes_what_its_messages_become_one_by_one(arrivals):
    """Plain samples are queued together, between others, with the same bytes, counts and order."""
    assert became(arrivals, alone=False) == became(arrivals, alone=True)


def test_a_redelivery_under_another_identifier_is_acknowledged_under_it(fixture):
    """As nats-server does where a late acknowledgement crossed its redelivery."""
    assert fixture.hold(fixture.take((b"a/x", b"1", 1, QOS1), unread=UNREAD)) == [1]
    assert fixture.take((b"a/x", b"1", 2, QOS1 | DUP)) == []
    assert fixture.hold([]) == [2]
    assert fixture.outcomes() == {("published", ""): 1, ("duplicate", ""): 1}


@pytest.mark.parametrize(("unread", "held_after", "published"), [(0, 0, 1), (1.2, 0.4, 1), (1.25, 0, 0), (0, 0.5, 0)])
def test_an_equal_message_with_dup_is_a_redelivery_only_where_an_acknowledgement_was_late(
    fixture, unread, held_after, published
):
    """nats-server counts what it meant for a connection that had ended or had too much under way. When that comes for
    the first time, it has DUP and a new identifier.
    """
    publishes = fixture.take((b"a/x", b"1", 1, QOS1), unread=unread)
    fixture.now += round(held_after * 1_000_000)
    fixture.hold(publishes)
    fixture.now += 2_000_000
    assert len(fixture.take((b"a/x", b"1", 2, QOS1 | DUP))) == published


def test_only_messages_that_waited_are_late(fixture):
    """A read in time after a late one, acknowledged with it."""
    publishes = fixture.take((b"a/x", b"1", 1, QOS1), unread=5)
    fixture.now += 1
    publishes += fixture.take((b"a/x", b"2", 2, QOS1))
    assert fixture.hold(publishes) == [1, 2]
    assert fixture.take((b"a/x", b"1", 3, QOS1 | DUP)) == []
    assert len(fixture.take((b"a/x", b"2", 4, QOS1 | DUP))) == 1


def test_after_a_lost_session_nothing_is_a_redelivery(fixture):
    """Its identifiers begin anew."""
    assert fixture.hold(fixture.take((b"a/x", b"1", 1, QOS1))) == [1]
    fixture.pipeline.connection_lost()
    assert fixture.pipeline.session_lost() is True
    assert fixture.hold(fixture.take((b"a/x", b"1", 1, QOS1 | DUP))) == [1]
    assert fixture.outcomes() == {("published", ""): 2}
