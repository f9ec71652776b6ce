"""Who gets what, told without a network: every client's frames are read back from the bytes that were written to it."""

import json
from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from servers.broadcasting import envelope
from servers.frames import Reader
from seve_broadcaster.access import Grant
from seve_broadcaster.catchup import Step, advance, forward, give_up
from seve_broadcaster.client import Client, Pace
from seve_broadcaster.hub import Hub
from seve_broadcaster.message import Message
from seve_broadcaster.present import Present
from seve_broadcaster.protocol import Refusal, Subscribe, Unsubscribe
from seve_broadcaster.recent import Recent
from seve_broadcaster.wire import end_of
from seve_schema.codec import encode
from seve_schema.position import Position, Token

JOURNAL = 1_700_000_000_000_000
START = Position(JOURNAL, 0)


class Sink:
    """A connection that keeps what it was given."""

    def __init__(self):
        self.frames = []
        self._reader = Reader()

    def write(self, data):
        self.frames += self._reader.feed(data)

    def end(self, code, reason):
        raise AssertionError((code, reason))


def a_hub(recent_bytes=1 << 20, **options):
    return Hub(START, Present(), Recent(recent_bytes, START), **options)


def a_client(hub, *, modules=None):
    client = Client(Sink(), Grant(modules), end_of(hub.head))
    hub.join(client)
    return client


def say(hub, *envelopes):
    """Publish the next message of the stream."""
    message = Message.of(
        Position(JOURNAL, hub.head.sequence + 1), envelopes[0].module_id, envelopes[0].kind, encode(envelopes)
    )
    hub.publish(message)
    return message


def subscribe(hub, client, *modules, budget=1 << 20, **options):
    hub.subscribe(client, Subscribe(modules=frozenset(modules), **options))
    return advance(hub, client, budget)


def events(client):
    return [frame["event"] for frame in client.sink.frames]


def values(client):
    found = []
    for frame in client.sink.frames:
        if frame["event"] in ("mqtt-message", "mqtt-batch"):
            data = frame["data"] if isinstance(frame["data"], list) else [frame["data"]]
            found += [one["value"] for one in data]
    return found


def test_the_snapshot_comes_in_the_order_of_the_journal():
    """`subscribed`, the newest of each series, `live`."""
    hub = a_hub()
    say(hub, envelope("a", 1.0), envelope("a", 2.0, sensor="t"))
    say(hub, envelope("a", 3.0))
    client = a_client(hub)
    assert subscribe(hub, client, "a") is Step.DONE
    assert events(client) == ["subscribed", "mqtt-message", "mqtt-message", "live"]
    assert values(client) == [2.0, 3.0]


def test_a_log_line_is_an_event_and_no_state():
    """`log` is sent when it comes, and is in no snapshot; `other` is a series for each topic."""
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
    """What the broker replayed counts only where nothing is held of its series."""
    hub = a_hub()
    say(hub, envelope("a", {"status": "online"}, kind="presence", retained=True))
    say(hub, envelope("a", {"status": "offline"}, kind="presence"))
    say(hub, envelope("a", {"status": "online"}, kind="presence", retained=True))
    client = a_client(hub)
    subscribe(hub, client, "a")
    assert [frame["data"]["metadata"]["status"] for frame in client.sink.frames[1:-1]] == ["offline"]


def test_batches_are_one_frame_for_what_arrived_together():
    """The bytes that arrived, wrapped once."""
    hub = a_hub()
    client = a_client(hub)
    subscribe(hub, client, "*", batch=True)
    say(hub, envelope("a", 1.0), envelope("a", 2.0))
    assert (events(client)[-1], values(client)) == ("mqtt-batch", [1.0, 2.0])


def test_frames_are_made_once_for_all_clients_of_a_lane():
    """Nothing is encoded for each client: all of them get the very same bytes."""
    hub = a_hub()

    class Keeping(Sink):
        def write(self, data):
            self.last = data

    clients = [a_client(hub) for _ in range(3)]
    for client in clients:
        client.sink = Keeping()
        subscribe(hub, client, "a")
    say(hub, envelope("a", 1.0))
    assert len({id(client.sink.last) for client in clients}) == 1


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
        say(hub, envelope("a", value), envelope("b", 0.0, sensor="x"))
    say(hub, envelope("a", 5.0, sensor="t"))
    hub.relieve(client)
    assert advance(hub, client, 1 << 20) is Step.DONE
    skipped = client.sink.frames[3]
    assert (skipped["event"], skipped["count"]) == ("skipped", 7)
    assert values(client) == [1.0, 4.0, 5.0] or values(client)[0] == 1.0
    say(hub, envelope("a", 6.0))
    assert values(client)[-1] == 6.0


def test_silence_is_told_to_who_watches_and_again_after_a_snapshot():
    """It is no part of the stream: no token moves."""
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


# properties


@dataclass
class World:
    """A hub, all that was ever published, and one client that subscribed before anything was."""

    hub: Hub
    client: Client
    wanted: tuple[frozenset, frozenset | None]
    stream: list = field(default_factory=list)
    lost: list = field(default_factory=list)

    def matches(self, one):
        modules, sensors = self.wanted
        return ("*" in modules or one.module_id in modules) and (
            sensors is None or one.kind != "measurement" or one.sensor_type in sensors
        )


MODULES = st.sampled_from(["a", "b", "c"])
ENVELOPES = st.lists(st.sampled_from(["co2", "t"]), min_size=1, max_size=4)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), MODULES, st.sampled_from(["measurement", "log", "presence"]), ENVELOPES),
        st.tuples(st.just("lose"), st.integers(1, 3)),
        st.tuples(st.just("full")),
        st.tuples(st.just("drained")),
        st.tuples(st.just("advance"), st.integers(1, 2000)),
        st.tuples(st.just("resume")),
    ),
    max_size=60,
)
WANTED = st.tuples(
    st.sets(st.sampled_from(["a", "b", "*"]), min_size=1).map(frozenset),
    st.none() | st.sets(st.sampled_from(["co2", "t"])).map(frozenset),
)


def play(world, operations, recent_reads_all):
    numbers = count(1)
    for operation, *rest in operations:
        hub, client = world.hub, world.client
        if operation == "say":
            module, kind, sensors = rest
            made = [envelope(module, next(numbers), sensor=sensor, kind=kind) for sensor in sensors]
            world.stream.append(say(hub, *made))
        elif operation == "lose":
            hub.gap(Position(JOURNAL, hub.head.sequence + rest[0]))
        elif operation == "full":
            hub.overflow(client)
        elif operation == "drained":
            hub.relieve(client)
        elif operation == "advance" and client.pace is Pace.BEHIND:
            step(world, rest[0], recent_reads_all)
        elif operation == "resume":
            world.client = resumed(world)
    world.hub.relieve(world.client)
    while world.client.pace is Pace.BEHIND:
        step(world, 1000, recent_reads_all)


def step(world, budget, everything_is_held):
    if advance(world.hub, world.client, budget) is Step.ELSEWHERE:
        elsewhere(world, everything_is_held)


def elsewhere(world, everything_is_held):
    """What is no longer in memory: from a history that holds all, or nowhere."""
    hub, client = world.hub, world.client
    if not everything_is_held:
        give_up(hub, client)
        return
    for message in world.stream:
        if end_of(message.position) > client.cursor:
            forward(hub, client, message)
    client.cursor = max(client.cursor, end_of(hub.recent.floor))


def resumed(world):
    """Another connection of the same client, from the last token it was given."""
    tokens = [frame["seq"] for frame in world.client.sink.frames if "seq" in frame]
    again = a_client(world.hub)
    again.sink.frames = world.client.sink.frames
    world.hub.leave(world.client)
    modules, sensors = world.wanted
    since = Token.parse(tokens[-1]) if tokens else None
    world.hub.subscribe(again, Subscribe(modules=modules, sensors=sensors, since=since))
    return again


def told(frames):
    """Numbers that came as news, and the stretches declared missing."""
    news, missing = [], []
    for frame in frames:
        if frame["event"] == "mqtt-message" and not frame.get("snapshot"):
            news.append(number_of(frame["data"]))
        elif frame["event"] in ("gap", "skipped"):
            missing.append((Token.parse(frame["from"]), Token.parse(frame["to"])))
    return news, missing


def number_of(data):
    return int(data["value"] if data["kind"] == "measurement" else data["metadata"])


def numbered(message):
    return [(Token(message.position, place), json.loads(part)) for place, part in enumerate(message.parts)]


@settings(max_examples=300, deadline=None)
@given(WANTED, OPERATIONS, st.sampled_from([300, 2000, 1 << 20]), st.booleans())
def test_what_a_client_is_told_is_exactly_the_stream(wanted, operations, recent_bytes, history):
    """News, gaps and skips cover the stream it asked for; no news twice, none out of order, none it did not ask for."""
    hub = a_hub(recent_bytes)
    world = World(hub, a_client(hub), wanted)
    hub.subscribe(world.client, Subscribe(modules=wanted[0], sensors=wanted[1]))
    play(world, operations, history)
    news, missing = told(world.client.sink.frames)
    began = next(Token.parse(frame["seq"]) for frame in world.client.sink.frames if frame["event"] == "subscribed")
    asked = {
        number_of(data): token
        for message in world.stream
        for token, data in numbered(message)
        if token > began and world.matches(envelope_of(data))
    }
    assert sorted(set(news)) == news
    assert set(news) <= set(asked)
    unexplained = [
        number
        for number, token in asked.items()
        if number not in set(news) and not any(start < token <= end for start, end in missing)
    ]
    assert unexplained == []


def envelope_of(data):
    return envelope(data["moduleId"], 0, sensor=data["sensorType"] or "", kind=data["kind"])


@settings(max_examples=200, deadline=None)
@given(WANTED, OPERATIONS, st.sampled_from([300, 1 << 20]), st.booleans())
def test_in_the_end_a_client_holds_the_newest_of_each_series(wanted, operations, recent_bytes, history):
    """However it lagged, skipped or resumed: taking each frame as it comes ends at the present."""
    hub = a_hub(recent_bytes)
    world = World(hub, a_client(hub), wanted)
    hub.subscribe(world.client, Subscribe(modules=wanted[0], sensors=wanted[1]))
    play(world, operations, history)
    held = {}
    for frame in world.client.sink.frames:
        if frame["event"] == "mqtt-message" and frame["data"]["kind"] != "log":
            data = frame["data"]
            held[data["moduleId"], data["kind"], data["sensorType"]] = number_of(data)
    present = {}
    for module in hub.present.modules.values():
        for entry in module.entries():
            data = json.loads(entry.data)
            if world.matches(envelope_of(data)):
                present[data["moduleId"], data["kind"], data["sensorType"]] = number_of(data)
    assert held == present


@settings(max_examples=200, deadline=None)
@given(
    st.sets(MODULES).map(frozenset),
    st.lists(
        st.one_of(
            st.tuples(st.just("subscribe"), st.sets(st.sampled_from(["a", "b", "c", "*"]), min_size=1).map(frozenset)),
            st.tuples(
                st.just("unsubscribe"), st.sets(st.sampled_from(["a", "b", "c", "*"]), min_size=1).map(frozenset)
            ),
            st.tuples(st.just("since"), st.sets(MODULES, min_size=1).map(frozenset), st.integers(0, 30)),
            st.tuples(st.just("say"), MODULES),
            st.tuples(st.just("advance"), st.integers(1, 500)),
            st.tuples(st.just("full")),
            st.tuples(st.just("drained")),
        ),
        max_size=50,
    ),
)
def test_nothing_is_sent_that_is_not_subscribed_and_allowed_at_that_moment(allowed, operations):
    """Whatever a client says, and however far behind it is."""
    hub = a_hub()
    client = a_client(hub, modules=allowed)
    for number, (operation, *rest) in enumerate(operations):
        before = len(client.sink.frames)
        try:
            if operation == "subscribe":
                hub.subscribe(client, Subscribe(modules=rest[0]))
            elif operation == "since":
                since = Token(Position(JOURNAL, rest[1]), 0)
                hub.subscribe(client, Subscribe(modules=rest[0], since=since))
            elif operation == "unsubscribe":
                hub.unsubscribe(client, Unsubscribe(modules=rest[0]))
        except Refusal:
            pass
        if operation == "say":
            say(hub, envelope(rest[0], number))
        elif operation == "full":
            hub.overflow(client)
        elif operation == "drained":
            hub.relieve(client)
        elif operation == "advance" and client.pace is Pace.BEHIND:
            advance(hub, client, rest[0])
        sent = {frame["data"]["moduleId"] for frame in client.sink.frames[before:] if "data" in frame}
        assert sent <= set(client.subscriptions) & allowed
