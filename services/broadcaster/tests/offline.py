"""A hub and its clients without a network: frames are decoded from the bytes that were written to a client."""

from seve_broadcaster.auth.grants import Grant
from seve_broadcaster.fanout import subscriptions
from seve_broadcaster.fanout.catchup import advance
from seve_broadcaster.fanout.hub import Hub
from seve_broadcaster.fanout.subscriber import Subscriber
from seve_broadcaster.protocol.requests import Subscribe
from seve_broadcaster.snapshot.snapshot import LatestValues
from seve_broadcaster.stream.message import Message
from seve_broadcaster.stream.replay_buffer import ReplayBuffer
from seve_schema.codec import encode
from seve_schema.position import Position, end_of
from support.frames import Reader

JOURNAL = 1_700_000_000_000_000
START = Position(JOURNAL, 0)


class Sink:
    """A connection that keeps the bytes written to it."""

    def __init__(self):
        self.frames = []
        self._reader = Reader()

    def write(self, data):
        self.frames += self._reader.feed(data)

    def end(self, code, reason):
        raise AssertionError((code, reason))


def a_hub(recent_bytes=1 << 20, bounds=None, **options):
    return Hub(START, LatestValues(bounds), ReplayBuffer(recent_bytes, START), **options)


def a_client(hub, *, modules=None):
    client = Subscriber(Sink(), Grant(modules), end_of(hub.head))
    hub.join(client)
    return client


def say(hub, *envelopes):
    """Publish the next message of the stream."""
    position = Position(hub.head.journal, hub.head.sequence + 1)
    message = Message.decode(position, envelopes[0].kind, encode(envelopes))
    hub.publish(message)
    return message


def subscribe(hub, client, *modules, budget=1 << 20, **options):
    subscriptions.subscribe(hub, client, Subscribe(modules=frozenset(modules), **options))
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
