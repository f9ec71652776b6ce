"""Which envelopes a subscription brings, when it is refused, and how it ends."""

import pytest
from seve_broadcaster.fanout import subscriptions
from seve_broadcaster.fanout.catchup import Step, advance
from seve_broadcaster.protocol.requests import Refusal, Unsubscribe
from support.broadcasting import envelope

from .offline import a_client, a_hub, say, subscribe, values


def test_naming_a_module_and_all_modules_brings_it_once():
    """By the subscription that names it; `*` covers the other modules."""
    hub = a_hub()
    client = a_client(hub)
    subscribe(hub, client, "*")
    subscribe(hub, client, "a", sensors=frozenset({"co2"}))
    say(hub, envelope("a", 1.0), envelope("a", 2.0, sensor="t"))
    say(hub, envelope("b", 3.0))
    assert values(client) == [1.0, 3.0]


def test_a_star_subscribes_to_all_granted_modules():
    """For a restricted client, `*` means its own list; other names are refused, whether they exist or not."""
    hub = a_hub()
    client = a_client(hub, modules=frozenset({"a"}))
    subscribe(hub, client, "*", "b")
    say(hub, envelope("a", 1.0))
    say(hub, envelope("b", 2.0))
    assert values(client) == [1.0]
    assert client.sink.frames[0]["code"] == "forbidden"
    with pytest.raises(Refusal, match="forbidden"):
        subscribe(hub, client, "b")


def test_more_subscriptions_than_allowed_are_refused_and_change_nothing():
    """The bound holds over all messages of a connection."""
    hub = a_hub(max_subscriptions=2)
    client = a_client(hub)
    subscribe(hub, client, "a", "b")
    with pytest.raises(Refusal, match="too_many"):
        subscribe(hub, client, "c")
    assert {"a", "b"} == set(client.subscriptions)


def test_unsubscribing_drops_pending_values_too():
    """Also the rest of a snapshot."""
    hub = a_hub()
    say(hub, envelope("a", 1.0), envelope("a", 2.0, sensor="t"))
    client = a_client(hub)
    assert subscribe(hub, client, "a", budget=1) is Step.MORE
    advance(hub, client, 1)
    subscriptions.unsubscribe(hub, client, Unsubscribe(modules=frozenset({"a"})))
    advance(hub, client, 1 << 20)
    say(hub, envelope("a", 3.0))
    assert values(client) == [1.0]
    with pytest.raises(Refusal, match="not_subscribed"):
        subscriptions.unsubscribe(hub, client, Unsubscribe(modules=frozenset({"a"})))


def test_a_message_of_many_modules_goes_to_each_client_in_the_order_of_the_journal():
    """Each gets its own envelopes, singly or as one batch."""
    hub = a_hub()
    everything, two, batch, one = (a_client(hub) for _ in range(4))
    subscribe(hub, everything, "*")
    subscribe(hub, two, "a", "b")
    subscribe(hub, batch, "a", "b", batch=True)
    subscribe(hub, one, "c", sensors=frozenset({"t"}))
    say(
        hub,
        envelope("a", 1.0),
        envelope("b", 2.0),
        envelope("c", 3.0),
        envelope("c", 4.0, sensor="t"),
        envelope("a", 5.0),
    )
    assert values(everything) == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert values(two) == values(batch) == [1.0, 2.0, 5.0]
    assert [frame["event"] for frame in batch.sink.frames].count("mqtt-batch") == 1
    assert values(one) == [4.0]


def test_the_snapshot_of_everything_shows_a_module_that_is_also_named_once_and_as_it_was_named():
    """The filter of its own subscription applies, not that of `*`."""
    hub = a_hub()
    say(hub, envelope("a", 1.0), envelope("a", 2.0, sensor="t"), envelope("b", 3.0))
    client = a_client(hub)
    subscribe(hub, client, "a", sensors=frozenset({"t"}))
    client.sink.frames.clear()
    subscribe(hub, client, "*")
    assert values(client) == [3.0]
    late = a_client(hub)
    subscribe(hub, late, "a", "*", sensors=frozenset({"t"}))
    assert values(late) == [2.0]


def test_a_subscription_that_is_replaced_before_its_snapshot_was_sent_is_shown_once():
    """With the filter of the last request."""
    hub = a_hub()
    say(hub, envelope("a", 1.0), envelope("a", 2.0, sensor="t"))
    client = a_client(hub)
    assert subscribe(hub, client, "a", budget=1) is Step.MORE
    subscribe(hub, client, "a", sensors=frozenset({"t"}))
    assert values(client) == [2.0]
