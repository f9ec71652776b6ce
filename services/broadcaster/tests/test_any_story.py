"""Whatever happens and in whatever order, what a client is told is the stream: stories that Hypothesis makes up."""

import json
from dataclasses import dataclass, field
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st
from seve_broadcaster.fanout.catchup import Step, advance, forward, give_up
from seve_broadcaster.fanout.hub import Hub
from seve_broadcaster.fanout.subscriber import Client, Pace
from seve_broadcaster.protocol.frames import end_of
from seve_broadcaster.protocol.requests import Refusal, Subscribe, Unsubscribe
from seve_schema.position import Position, Token
from support.broadcasting import envelope

from .offline import JOURNAL, a_client, a_hub, say


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
