"""Clients get the stream whatever happens, in whatever order: Hypothesis generates the stories."""

import json
from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seve_broadcaster.auth.grants import Grant
from seve_broadcaster.fanout import slow_client, subscriptions
from seve_broadcaster.fanout.catchup import Step, advance, lose, replay
from seve_broadcaster.fanout.hub import Hub
from seve_broadcaster.fanout.subscriber import Pace, Subscriber
from seve_broadcaster.protocol.requests import Refusal, Subscribe, Unsubscribe
from seve_schema.position import Position, Token
from seve_schema.times import MICROS, format_time
from support.broadcasting import envelope

from .offline import JOURNAL, a_client, a_hub, say

pytestmark = pytest.mark.slow


@dataclass
class Screen:
    """A client that keeps all frames of all its connections."""

    wanted: Subscribe
    client: Subscriber
    frames: list = field(default_factory=list)

    def matches(self, data):
        modules, sensors = self.wanted.modules, self.wanted.sensors
        return ("*" in modules or data["moduleId"] in modules) and (
            sensors is None or data["kind"] != "measurement" or data["sensorType"] in sensors
        )

    def read(self):
        """Read the frames that were written to the connection."""
        self.frames += self.client.sink.frames
        self.client.sink.frames = []

    @property
    def envelopes(self):
        """Return each received envelope, and whether it was news rather than part of a snapshot."""
        for frame in self.frames:
            if frame["event"] in ("mqtt-message", "mqtt-batch"):
                for data in frame["data"] if frame["event"] == "mqtt-batch" else [frame["data"]]:
                    yield data, not frame.get("snapshot")


@dataclass
class World:
    """A hub, its journal, everything ever published, and clients that subscribed before that."""

    hub: Hub
    screens: list
    stream: list = field(default_factory=list)
    journal: list = field(default_factory=list)


MODULES = st.sampled_from(["a", "b", "c"])
SCREEN = st.integers(0, 2)
SAY = st.tuples(
    st.just("say"),
    st.sampled_from(["measurement", "log", "presence"]),
    st.lists(st.tuples(MODULES, st.sampled_from(["co2", "t"]), st.integers(-3, 20)), min_size=1, max_size=5),
)
"""One message: for each envelope its module, its sensor, and how many messages ago the sample was taken."""

OPERATIONS = st.lists(
    st.one_of(
        SAY,
        SAY,
        st.tuples(st.just("gap"), st.integers(1, 3)),
        st.tuples(st.just("recreate")),
        st.tuples(st.just("purge"), st.integers(1, 10)),
        st.tuples(st.just("full"), SCREEN),
        st.tuples(st.just("drained"), SCREEN),
        st.tuples(st.just("advance"), SCREEN, st.integers(1, 2000)),
        st.tuples(st.just("resume"), SCREEN, st.integers(0, 12)),
    ),
    max_size=60,
)
WANTED = st.builds(
    Subscribe,
    modules=st.sets(st.sampled_from(["a", "b", "*"]), min_size=1).map(frozenset),
    sensors=st.none() | st.sets(st.sampled_from(["co2", "t"])).map(frozenset),
    batch=st.booleans(),
)
STORY = (st.lists(WANTED, min_size=3, max_size=3), OPERATIONS, st.sampled_from([300, 2000, 1 << 20]))


def play(wanted, operations, memory):
    """Play a story; return the world at its end, with every client at the head."""
    hub, numbers = a_hub(memory), count(1)
    world = World(hub, [Screen(one, a_client(hub)) for one in wanted])
    for screen in world.screens:
        subscriptions.subscribe(hub, screen.client, screen.wanted)
    for operation, *rest in operations:
        tell(world, operation, rest, numbers)
    for screen in world.screens:
        slow_client.relieve(hub, screen.client)
        while screen.client.pace is Pace.BEHIND:
            step(world, screen, 1000)
        screen.read()
    return world


def tell(world, operation, rest, numbers):
    hub = world.hub
    if operation == "say":
        kind, series = rest
        made = [spoken(kind, next(numbers), *one) for one in series]
        message = say(hub, *made)
        world.stream.append(message)
        world.journal.append(message)
    elif operation == "gap":
        hub.gap(Position(hub.head.journal, hub.head.sequence + rest[0]))
    elif operation == "recreate":
        hub.gap(Position(hub.head.journal + 1, 0))
        world.journal.clear()
    elif operation == "purge":
        del world.journal[: rest[0]]
    else:
        screen = world.screens[rest[0]]
        if operation == "full":
            slow_client.overflow(hub, screen.client)
        elif operation == "drained":
            slow_client.relieve(hub, screen.client)
        elif operation == "advance" and screen.client.pace is Pace.BEHIND:
            step(world, screen, rest[1])
        elif operation == "resume":
            resume(world, screen, rest[1])


def spoken(kind, number, module, sensor, ago):
    """Return an envelope that was received a second after the one before, and taken `ago` seconds earlier."""
    received, taken = (format_time((1_800_000_000 + second) * MICROS) for second in (number, number - ago))
    return envelope(module, number, sensor=sensor, kind=kind, time=taken, received_at=received)


def taken(data):
    """Return when a sample was taken, at the latest when it was received; other kinds are ordered otherwise."""
    return min(data["time"], data["receivedAt"]) if data["kind"] == "measurement" else ""


def newest(envelopes):
    """Return the newest of each series, by applying the clients' rule to one envelope after the other."""
    held = {}
    for data in envelopes:
        series = data["moduleId"], data["kind"], data["sensorType"]
        if data["kind"] != "log" and (series not in held or taken(data) >= taken(held[series])):
            held[series] = data
    return held


def step(world, screen, budget):
    if advance(world.hub, screen.client, budget) is Step.ELSEWHERE:
        from_the_journal(world, screen.client)


def from_the_journal(world, client):
    """Replay what the journal still holds to a client, as `journal_replay` does."""
    hub = world.hub
    if client.cursor.position.journal != hub.head.journal:
        lose(hub, client, hub.head)
        return
    for message in world.journal:
        if client.pending or hub.buffer.reaches(client.cursor):
            return
        replay(hub, client, message)
    if not client.pending and not hub.buffer.reaches(client.cursor):
        lose(hub, client, hub.buffer.floor)


def resume(world, screen, unread):
    """Connect the same client again. It had not read the last `unread` frames of the connection before."""
    screen.read()
    kept = max(len(screen.frames) - unread, 0)
    first = next((at for at, frame in enumerate(screen.frames) if "seq" in frame), None)
    if first is None:
        since = None
    else:
        screen.frames = screen.frames[: max(kept, first + 1)]
        since = Token.parse([frame["seq"] for frame in screen.frames if "seq" in frame][-1])
    world.hub.leave(screen.client)
    screen.client = a_client(world.hub)
    wanted = screen.wanted
    again = Subscribe(modules=wanted.modules, sensors=wanted.sensors, batch=wanted.batch, since=since)
    subscriptions.subscribe(world.hub, screen.client, again)


def number_of(data):
    return int(data["value"] if data["kind"] == "measurement" else data["metadata"])


@settings(max_examples=400, deadline=None)
@given(*STORY)
def test_every_client_gets_exactly_its_part_of_the_stream(wanted, operations, memory):
    """News, gaps and skips together cover its subscriptions; no news comes twice, out of order, or unasked for."""
    world = play(wanted, operations, memory)
    for screen in world.screens:
        news = [number_of(data) for data, new in screen.envelopes if new]
        missing = [
            (Token.parse(frame["from"]), Token.parse(frame["to"]))
            for frame in screen.frames
            if frame["event"] in ("gap", "skipped")
        ]
        began = next(Token.parse(frame["seq"]) for frame in screen.frames if frame["event"] == "subscribed")
        asked = {
            number_of(data): Token(message.position, place)
            for message in world.stream
            for place, data in enumerate(json.loads(message.data))
            if Token(message.position, place) > began and screen.matches(data)
        }
        assert sorted(set(news)) == news
        assert set(news) <= set(asked)
        unexplained = [
            number
            for number, token in asked.items()
            if number not in set(news) and not any(start < token <= end for start, end in missing)
        ]
        assert unexplained == []


@settings(max_examples=400, deadline=None)
@given(*STORY)
def test_in_the_end_a_client_holds_the_newest_of_each_series(wanted, operations, memory):
    """However it lagged, skipped or resumed, and however late samples came: ordered by the time they were taken, it
    ends with the newest values, those of a snapshot.
    """
    world = play(wanted, operations, memory)
    shown = {
        (data["moduleId"], data["kind"], data["sensorType"]): data
        for module in world.hub.latest.modules.values()
        for data in (json.loads(entry.data) for entry in module.entries())
    }
    assert shown == newest(data for message in world.stream for data in json.loads(message.data))
    for screen in world.screens:
        assert newest(data for data, _ in screen.envelopes) == newest(filter(screen.matches, shown.values()))


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
            st.tuples(st.just("say"), MODULES, MODULES),
            st.tuples(st.just("advance"), st.integers(1, 500)),
            st.tuples(st.just("full")),
            st.tuples(st.just("drained")),
        ),
        max_size=50,
    ),
)
def test_only_subscribed_and_granted_envelopes_are_sent(allowed, operations):
    """For any requests, however far the client is behind. Exactly the modules that it may not see are refused."""
    hub = a_hub()
    client = a_client(hub, modules=allowed)
    for number, (operation, *rest) in enumerate(operations):
        before, held = len(client.sink.frames), set(client.subscriptions)
        assert ask(hub, client, operation, rest) == expected_refusal(operation, rest, allowed, held)
        if operation == "say":
            say(hub, *(envelope(module, number) for module in rest))
        elif operation == "full":
            slow_client.overflow(hub, client)
        elif operation == "drained":
            slow_client.relieve(hub, client)
        elif operation == "advance" and client.pace is Pace.BEHIND:
            advance(hub, client, rest[0])
        sent = {frame["data"]["moduleId"] for frame in client.sink.frames[before:] if "data" in frame}
        assert sent <= set(client.subscriptions) & allowed


def ask(hub, client, operation, rest):
    """Send a request to the hub; return the code of its refusal, if any."""
    try:
        if operation == "subscribe":
            subscriptions.subscribe(hub, client, Subscribe(modules=rest[0]))
        elif operation == "since":
            subscriptions.subscribe(hub, client, Subscribe(modules=rest[0], since=Token(Position(JOURNAL, rest[1]), 0)))
        elif operation == "unsubscribe":
            subscriptions.unsubscribe(hub, client, Unsubscribe(modules=rest[0]))
    except Refusal as refusal:
        return refusal.code
    return None


def expected_refusal(operation, rest, allowed, held):
    if operation in ("subscribe", "since"):
        granted, refused = Grant(allowed).resolve(rest[0])
        return "forbidden" if refused and not granted else None
    if operation == "unsubscribe" and rest[0] - held - {"*"}:
        return "not_subscribed"
    return None
