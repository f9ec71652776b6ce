"""What a subscription brings, whom it is refused, and how it ends."""

import pytest
from seve_broadcaster.fanout.catchup import Step, advance
from seve_broadcaster.protocol.requests import Refusal, Unsubscribe
from support.broadcasting import envelope

from .offline import a_client, a_hub, say, subscribe, values


def test_naming_a_module_and_all_modules_brings_it_once():
    """The name decides; `*` is for the others."""
    hub = a_hub()
    client = a_client(hub)
    subscribe(hub, client, "*")
    subscribe(hub, client, "a", sensors=frozenset({"co2"}))
    say(hub, envelope("a", 1.0), envelope("a", 2.0, sensor="t"))
    say(hub, envelope("b", 3.0))
    assert values(client) == [1.0, 3.0]


def test_everything_means_everything_one_may_see():
    """`*` of a restricted client is its own list, and what it names beyond is refused without a word about it."""
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


def test_unsubscribing_ends_it_also_for_what_was_pending():
    """Not even the rest of a snapshot."""
    hub = a_hub()
    say(hub, envelope("a", 1.0), envelope("a", 2.0, sensor="t"))
    client = a_client(hub)
    assert subscribe(hub, client, "a", budget=1) is Step.MORE
    hub.unsubscribe(client, Unsubscribe(modules=frozenset({"a"})))
    advance(hub, client, 1 << 20)
    say(hub, envelope("a", 3.0))
    assert values(client) == []
    with pytest.raises(Refusal, match="not_subscribed"):
        hub.unsubscribe(client, Unsubscribe(modules=frozenset({"a"})))
