"""How a client comes to the head: one that resumes, one whose replay is read from HISTORY, one that was too slow."""

import pytest
from seve_broadcaster.fanout.catchup import Step, advance, forward
from seve_broadcaster.protocol.requests import Subscribe
from seve_broadcaster.stream.message import Message
from seve_schema.codec import encode
from seve_schema.position import Position, Token
from support.broadcasting import envelope

from .offline import JOURNAL, a_client, a_hub, events, say, subscribe, values


def test_a_client_that_resumes_gets_what_came_since_instead_of_the_snapshot():
    """From memory, beginning in the middle of a message where it broke off there."""
    hub = a_hub()
    first = a_client(hub)
    subscribe(hub, first, "a")
    say(hub, envelope("a", 1.0), envelope("a", 2.0), envelope("a", 3.0))
    say(hub, envelope("a", 4.0))
    token = Token.parse(first.sink.frames[2]["seq"])
    second = a_client(hub)
    subscribe(hub, second, "a", since=token)
    assert (events(second)[0], values(second), events(second)[-1]) == ("subscribed", [2.0, 3.0, 4.0], "live")


def test_a_token_ahead_of_the_stream_cannot_be_resumed_from():
    """It is another journal's, or one that was set back: a gap, and the present."""
    hub = a_hub()
    say(hub, envelope("a", 1.0))
    client = a_client(hub)
    hub.subscribe(client, Subscribe(modules=frozenset({"a"}), since=Token(Position(JOURNAL + 1, 5), 0)))
    assert advance(hub, client, 1 << 20) is Step.DONE
    assert events(client) == ["subscribed", "gap", "mqtt-message", "live"]


def test_what_history_has_before_the_hub_is_not_sent_from_there():
    """A replay that overtook the head would bring its messages a second time when they come live: it may not."""
    hub = a_hub(recent_bytes=1)
    first = a_client(hub)
    subscribe(hub, first, "a")
    for value in (1.0, 2.0):
        say(hub, envelope("a", value))
    client = a_client(hub)
    since = Token.parse(first.sink.frames[0]["seq"])
    assert subscribe(hub, client, "a", since=since) is Step.ELSEWHERE
    in_history = [
        Message.of(Position(JOURNAL, sequence), "a", "measurement", encode([envelope("a", float(sequence))]))
        for sequence in (1, 2, 3, 4)
    ]
    for message in in_history[:2]:
        forward(hub, client, message)
    with pytest.raises(AssertionError):
        forward(hub, client, in_history[2])
    assert advance(hub, client, 1 << 20) is Step.DONE
    for message in in_history[2:]:
        hub.publish(message)
    assert values(client) == [1.0, 2.0, 3.0, 4.0]


def test_a_slow_client_is_told_what_it_missed_and_gets_the_newest():
    """`skipped` with the count, the newest of what changed, then live again; nothing was queued for it."""
    hub = a_hub()
    client = a_client(hub)
    subscribe(hub, client, "a")
    say(hub, envelope("a", 1.0))
    hub.overflow(client)
    for value in (2.0, 3.0, 4.0):
        say(hub, envelope("a", value), envelope("a", 0.0, sensor="x"))
    say(hub, envelope("a", 5.0, sensor="t"))
    hub.relieve(client)
    assert advance(hub, client, 1 << 20) is Step.DONE
    skipped = client.sink.frames[3]
    assert (skipped["event"], skipped["count"]) == ("skipped", 7)
    assert values(client) == [1.0, 4.0, 0.0, 5.0]
    say(hub, envelope("a", 6.0))
    assert values(client)[-1] == 6.0
