"""The snapshot that a client gets on subscribing: the newest of each series, and nothing that is no state."""

from seve_broadcaster.fanout.catchup import Step
from seve_broadcaster.snapshot.document import decode_module, encode_module
from support.broadcasting import envelope

from .offline import a_client, a_hub, events, say, subscribe, values


def test_a_snapshot_has_the_order_of_the_journal():
    """`subscribed`, the newest of each series, `live`."""
    hub = a_hub()
    say(hub, envelope("a", 1.0), envelope("a", 2.0, sensor="t"))
    say(hub, envelope("a", 3.0))
    client = a_client(hub)
    assert subscribe(hub, client, "a") is Step.DONE
    assert events(client) == ["subscribed", "mqtt-message", "mqtt-message", "live"]
    assert values(client) == [2.0, 3.0]


def test_a_log_line_is_an_event_and_no_state():
    """`log` is sent when it arrives, and is in no snapshot; each topic of `other` is a series."""
    hub = a_hub()
    early = a_client(hub)
    subscribe(hub, early, "a")
    say(hub, envelope("a", {"msg": "hello"}, kind="log"))
    say(hub, envelope("a", 1, kind="other", topic="a/x/y/z"), envelope("a", 2, kind="other", topic="a/x/y/q"))
    late = a_client(hub)
    subscribe(hub, late, "a")
    assert events(early).count("mqtt-message") == 3
    assert [frame["data"]["topic"] for frame in late.sink.frames[1:-1]] == ["a/x/y/z", "a/x/y/q"]


def test_a_retained_envelope_is_no_news():
    """A retained message counts only if its series has no other value."""
    hub = a_hub()
    say(hub, envelope("a", {"status": "online"}, kind="presence", retained=True))
    say(hub, envelope("a", {"status": "offline"}, kind="presence"))
    say(hub, envelope("a", {"status": "online"}, kind="presence", retained=True))
    client = a_client(hub)
    subscribe(hub, client, "a")
    assert [frame["data"]["metadata"]["status"] for frame in client.sink.frames[1:-1]] == ["offline"]


def at(minute):
    return f"2025-11-30T19:{minute:02d}:00.000000Z"


def shown(hub):
    client = a_client(hub)
    subscribe(hub, client, "a")
    return values(client)


def test_late_samples_of_a_device_do_not_replace_the_newest():
    """The newest sample is the one taken last; of equal times, the one that arrived last."""
    hub = a_hub()
    say(hub, envelope("a", 1.0, time=at(10), received_at=at(10)))
    say(hub, envelope("a", 2.0, time=at(3), received_at=at(11)), envelope("a", 3.0, time=at(4), received_at=at(11)))
    assert shown(hub) == [1.0]
    say(hub, envelope("a", 4.0, time=at(10), received_at=at(12)))
    assert shown(hub) == [4.0]


def test_a_sample_from_a_clock_that_was_ahead_can_be_replaced():
    """A sample counts as taken no later than it was received."""
    hub = a_hub()
    say(hub, envelope("a", 1.0, time=at(19), received_at=at(10)))
    say(hub, envelope("a", 2.0, time=at(11), received_at=at(11)))
    assert shown(hub) == [2.0]


def test_a_retained_sample_counts_by_its_own_time():
    """A sample has a time of its own; a retained state has none."""
    hub = a_hub()
    say(hub, envelope("a", 1.0, time=at(10), received_at=at(10)))
    say(hub, envelope("a", 2.0, time=at(9), received_at=at(11), retained=True))
    assert shown(hub) == [1.0]
    say(hub, envelope("a", 3.0, time=at(11), received_at=at(12), retained=True))
    assert shown(hub) == [3.0]


def test_a_saved_sample_keeps_its_time():
    """After a restart, an older sample still does not replace it."""
    hub = a_hub()
    say(hub, envelope("a", 1.0, time=at(10), received_at=at(10)))
    again = a_hub()
    again.latest.restore("a", decode_module(encode_module(hub.latest.modules["a"])))
    again.begin(hub.head)
    say(again, envelope("a", 2.0, time=at(3), received_at=at(11)))
    assert shown(again) == [1.0]


def test_silence_is_sent_to_subscribers_and_after_a_snapshot():
    """Silence is no part of the stream: no token moves."""
    hub = a_hub()
    say(hub, envelope("a", 1.0))
    client = a_client(hub)
    subscribe(hub, client, "a")
    hub.tell_silence("a", silent=True)
    hub.tell_silence("b", silent=True)
    assert [frame for frame in client.sink.frames if frame["event"] == "silence"] == [
        {"event": "silence", "module": "a", "silent": True}
    ]
    late = a_client(hub)
    subscribe(hub, late, "a")
    assert events(late)[-2:] == ["silence", "live"]
