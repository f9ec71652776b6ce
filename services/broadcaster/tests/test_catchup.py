"""How a client catches up with the head: one that resumes from memory or from the journal, and one that was too
slow.
"""

import pytest
from seve_broadcaster.fanout import slow_client, subscriptions
from seve_broadcaster.fanout.catchup import Step, advance, flush, forward, lose, replay
from seve_broadcaster.protocol.requests import Subscribe, Unsubscribe
from seve_broadcaster.stream.message import Message
from seve_schema.codec import encode
from seve_schema.position import WHOLE, Position, Token, end_of
from support.broadcasting import envelope

from .offline import JOURNAL, START, a_client, a_hub, events, say, subscribe, values


def test_a_resuming_client_gets_messages_instead_of_a_snapshot():
    """From memory, beginning within a message if the client disconnected there."""
    hub = a_hub()
    first = a_client(hub)
    subscribe(hub, first, "a")
    say(hub, envelope("a", 1.0), envelope("a", 2.0), envelope("a", 3.0))
    say(hub, envelope("a", 4.0))
    token = Token.parse(first.sink.frames[2]["seq"])
    second = a_client(hub)
    subscribe(hub, second, "a", since=token)
    assert (events(second)[0], values(second), events(second)[-1]) == ("subscribed", [2.0, 3.0, 4.0], "live")


@pytest.mark.parametrize("since", [Position(JOURNAL + 1, 5), Position(JOURNAL, 5)], ids=["restored", "set back"])
def test_a_client_ahead_of_the_stream_may_lack_anything_of_it(since):
    """An old copy of another journal was restored, or this one was set back: the client gets a gap that has every
    message there is, and the snapshot.
    """
    hub = a_hub()
    say(hub, envelope("a", 1.0))
    client = a_client(hub)
    subscriptions.subscribe(hub, client, Subscribe(modules=frozenset({"a"}), since=Token(since, 0)))
    assert advance(hub, client, 1 << 20) is Step.DONE
    assert events(client) == ["gap", "subscribed", "mqtt-message", "live"]
    gap = client.sink.frames[0]
    assert Token.parse(gap["from"]) < Token(Position(JOURNAL, 1), 0) <= Token.parse(gap["to"]) == end_of(hub.head)


def test_a_gap_begins_at_a_token_of_an_earlier_journal():
    """The client may know where its own journal ended."""
    hub = a_hub()
    client = a_client(hub)
    since = Token(Position(JOURNAL - 1, 5), 0)
    subscriptions.subscribe(hub, client, Subscribe(modules=frozenset({"a"}), since=since))
    assert advance(hub, client, 1 << 20) is Step.DONE
    assert client.sink.frames[0]["from"] == str(since)


def test_a_replay_sends_nothing_ahead_of_the_hub():
    """Messages ahead of the head would be sent a second time when they come live."""
    hub = a_hub(recent_bytes=1)
    first = a_client(hub)
    subscribe(hub, first, "a")
    for value in (1.0, 2.0):
        say(hub, envelope("a", value))
    client = a_client(hub)
    since = Token.parse(first.sink.frames[0]["seq"])
    assert subscribe(hub, client, "a", since=since) is Step.ELSEWHERE
    in_journal = [
        Message.decode(Position(JOURNAL, sequence), "measurement", encode([envelope("a", float(sequence))]))
        for sequence in (1, 2, 3, 4)
    ]
    for message in in_journal[:2]:
        forward(hub, client, message)
    with pytest.raises(AssertionError):
        forward(hub, client, in_journal[2])
    assert advance(hub, client, 1 << 20) is Step.DONE
    for message in in_journal[2:]:
        hub.publish(message)
    assert values(client) == [1.0, 2.0, 3.0, 4.0]


def test_a_slow_client_gets_a_count_and_the_newest_values():
    """`skipped` with the count, the newest values that changed, then live messages; nothing was queued for it."""
    hub = a_hub()
    client = a_client(hub)
    subscribe(hub, client, "a")
    say(hub, envelope("a", 1.0))
    slow_client.overflow(hub, client)
    for value in (2.0, 3.0, 4.0):
        say(hub, envelope("a", value), envelope("a", 0.0, sensor="x"))
    say(hub, envelope("a", 5.0, sensor="t"))
    slow_client.relieve(hub, client)
    assert advance(hub, client, 1 << 20) is Step.DONE
    skipped = client.sink.frames[3]
    assert (skipped["event"], skipped["count"]) == ("skipped", 7)
    assert values(client) == [1.0, 4.0, 0.0, 5.0]
    say(hub, envelope("a", 6.0))
    assert values(client)[-1] == 6.0


def test_a_token_at_the_head_is_resumed_from_without_a_snapshot():
    """The client has missed nothing."""
    hub = a_hub()
    say(hub, envelope("a", 1.0))
    client = a_client(hub)
    subscribe(hub, client, "a", since=end_of(hub.head))
    assert events(client) == ["subscribed", "live"]


def test_a_second_module_with_a_newer_token_loses_nothing_of_the_first():
    """Each module's messages follow its own token, and none comes twice."""
    hub = a_hub()
    for value in range(1, 9):
        say(hub, envelope("a", float(value)), envelope("b", value + 0.5))
    client = a_client(hub)
    subscriptions.subscribe(hub, client, Subscribe(modules=frozenset({"a"}), since=Token(Position(JOURNAL, 1), WHOLE)))
    subscriptions.subscribe(hub, client, Subscribe(modules=frozenset({"b"}), since=Token(Position(JOURNAL, 5), 0)))
    assert advance(hub, client, 1 << 20) is Step.DONE
    assert [value for value in values(client) if value % 1 == 0] == [2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    assert [value for value in values(client) if value % 1] == [5.5, 6.5, 7.5, 8.5]


def test_a_second_module_with_an_older_token_repeats_nothing_of_the_first():
    """A new subscription does not repeat messages of another."""
    hub = a_hub()
    client = a_client(hub)
    subscribe(hub, client, "a")
    for value in range(1, 6):
        say(hub, envelope("a", float(value)), envelope("b", value + 0.5))
    subscribe(hub, client, "b", since=end_of(Position(JOURNAL, 2)))
    assert values(client) == [1.0, 2.0, 3.0, 4.0, 5.0, 3.5, 4.5, 5.5]


def test_messages_in_memory_are_sent_within_the_budget():
    """One budget per turn: a client that comes back must not fill its buffer at once."""
    hub = a_hub()
    first = a_client(hub)
    for value in range(100):
        say(hub, envelope("a", float(value)))
    assert subscribe(hub, first, "a", since=end_of(START), budget=2000) is Step.MORE
    assert 0 < len(values(first)) < 20
    while advance(hub, first, 2000) is Step.MORE:
        pass
    assert values(first) == [float(value) for value in range(100)]


def test_frames_are_kept_for_a_few_audiences():
    """Without the bound, clients with subscriptions of their own could have every message in memory encoded once for
    each of them.
    """
    hub = a_hub()
    first = a_client(hub)
    subscribe(hub, first, "a")
    say(hub, envelope("a", 1.0))
    message = say(hub, envelope("a", 2.0))
    token = Token.parse(first.sink.frames[2]["seq"])
    for number in range(30):
        client = a_client(hub)
        subscribe(hub, client, "a", f"own-{number}", since=token)
        assert values(client) == [2.0]
    (held,) = hub.buffer.after(end_of(Position(JOURNAL, 1)))
    assert held.position == message.position
    assert 0 < len(held.encoded) <= 8


def test_a_client_that_left_holds_no_memory():
    """Neither it nor its subscriptions are kept."""
    hub = a_hub()
    client = a_client(hub)
    subscribe(hub, client, "a", "*")
    hub.leave(client)
    say(hub, envelope("a", 1.0))
    assert (values(client), hub.clients, hub.index.subscriptions) == ([], set(), 0)
    assert hub.index.audience(client) is None


def test_a_gap_is_followed_by_the_newest_values_within_it():
    """Values that changed after the gap come as messages."""
    hub = a_hub(recent_bytes=1)
    say(hub, envelope("a", 1.0), envelope("b", 2.0), envelope("c", 3.0))
    lost = say(hub, envelope("a", 4.0)).position
    kept = say(hub, envelope("b", 5.0))
    client = a_client(hub)
    assert subscribe(hub, client, "a", "b", since=end_of(START)) is Step.ELSEWHERE
    replay(hub, client, kept)
    assert advance(hub, client, 1 << 20) is Step.DONE
    gap, shown, news = client.sink.frames[1:4]
    assert (gap["event"], gap["from"], gap["to"]) == ("gap", str(end_of(START)), str(end_of(lost)))
    assert (shown["data"]["value"], shown["snapshot"], news["data"]["value"], "snapshot" in news) == (
        4.0,
        True,
        5.0,
        False,
    )
    assert events(client) == ["subscribed", "gap", "mqtt-message", "mqtt-message", "live"]


def test_a_gap_before_the_floor_of_a_subscription_is_not_sent():
    """The subscription began after the gap."""
    hub = a_hub()
    hub.gap(Position(JOURNAL, 10))
    client = a_client(hub)
    subscribe(hub, client, "a", since=end_of(Position(JOURNAL, 10)))
    assert events(client) == ["subscribed", "live"]


def test_a_gap_is_sent_at_once_to_live_clients():
    """To every client with a subscription, since the content of a gap is unknown."""
    hub = a_hub()
    watching, idle = a_client(hub), a_client(hub)
    subscribe(hub, watching, "a")
    hub.gap(Position(JOURNAL, 3))
    told = watching.sink.frames[-1]
    assert (told["event"], told["from"], told["to"]) == ("gap", str(end_of(START)), str(end_of(Position(JOURNAL, 3))))
    assert events(idle) == []


def test_a_single_lost_message_is_a_gap():
    """The gap has the length of one message."""
    hub = a_hub(recent_bytes=1)
    lost = say(hub, envelope("a", 1.0)).position
    kept = say(hub, envelope("a", 2.0))
    client = a_client(hub)
    assert subscribe(hub, client, "a", since=end_of(START)) is Step.ELSEWHERE
    replay(hub, client, kept)
    advance(hub, client, 1 << 20)
    assert [frame["to"] for frame in client.sink.frames if frame["event"] == "gap"] == [str(end_of(lost))]


def test_a_token_of_a_journal_that_is_not_known_here_brings_the_whole_snapshot():
    """It includes values older than that journal: the client never had them."""
    hub = a_hub()
    say(hub, envelope("a", 1.0))
    hub.gap(Position(JOURNAL + 10, 0))
    client = a_client(hub)
    subscribe(hub, client, "a", since=Token(Position(JOURNAL + 5, 3), 0))
    assert events(client) == ["gap", "subscribed", "mqtt-message", "live"]


def test_a_gap_is_sent_only_if_a_subscription_lacks_messages_in_it():
    """Whether the gap is in memory or found in the journal. At the head no subscription has a floor."""
    for in_memory in (True, False):
        hub = a_hub()
        say(hub, envelope("a", 1.0))
        hub.gap(Position(JOURNAL, 5))
        client = a_client(hub)
        subscriptions.subscribe(hub, client, Subscribe(modules=frozenset({"a"}), since=end_of(START)))
        subscriptions.subscribe(hub, client, Subscribe(modules=frozenset({"b"})))
        subscriptions.unsubscribe(hub, client, Unsubscribe(modules=frozenset({"a"})))
        assert client.subscriptions["b"].floor == end_of(hub.head)
        if not in_memory:
            flush(hub, client, 1 << 20)
            lose(hub, client, hub.head)
        assert advance(hub, client, 1 << 20) is Step.DONE
        assert "gap" not in events(client)
        assert client.subscriptions["b"].floor is None
