"""Distributes the stream: it arrives once, in order; each client gets its part of it, or is told what it missed.

Each call runs within one turn of the loop, so that all frames to a client agree on the head of the stream: a snapshot
holds everything up to the head, and live messages begin behind it. Frames and values for a client that is not live are
queued in its `pending`, and sent by `catchup`; `slow_client` decides what a connection gets that cannot keep up. Waits
for nothing and reads no socket.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from seve_schema.position import Position, Token, end_of

from seve_broadcaster.fanout.subscriber import Pace, PendingSnapshot, Subscriber
from seve_broadcaster.fanout.subscription_index import SubscriptionIndex
from seve_broadcaster.protocol import frames
from seve_broadcaster.protocol.requests import EVERYTHING
from seve_broadcaster.snapshot.snapshot import EARLIEST, LatestValues
from seve_broadcaster.stream.message import Message
from seve_broadcaster.stream.replay_buffer import Gap, ReplayBuffer


@dataclass(slots=True)
class Counts:
    """Counts since the process began."""

    messages: int = 0
    envelopes: int = 0
    frames: int = 0
    sent_bytes: int = 0
    snapshots: int = 0
    skipped: int = 0
    gaps: int = 0
    lost: int = 0


class Hub:
    """The head of the stream, the newest values, and the clients."""

    def __init__(
        self, head: Position, latest: LatestValues, buffer: ReplayBuffer, max_subscriptions: int = 1000
    ) -> None:
        self.head = head
        self.latest = latest
        self.buffer = buffer
        self.index = SubscriptionIndex()
        self.clients: set[Subscriber] = set()
        self.silent: set[str] = set()
        self.counts = Counts()
        self.max_subscriptions = max_subscriptions

    # the stream

    def publish(self, message: Message) -> None:
        """Accept the next message of the stream, and push it to every live client with a subscription in it."""
        self.head = message.position
        self.latest.apply(message)
        self.buffer.append(message)
        counts = self.counts
        counts.messages += 1
        counts.envelopes += len(message.parts)
        for audience, places in self.index.match(message):
            data, sent = b"", 0
            for client in audience.clients:
                if client.pace is Pace.LIVE:
                    data = data or audience.frames(message, places)
                    client.sink.write(data)
                    sent += 1
                elif client.pace is Pace.SLOW:
                    client.missed += len(places)
            counts.frames += sent * audience.count(places)
            counts.sent_bytes += sent * len(data)

    def begin(self, position: Position) -> None:
        """Begin the stream behind a position; the hub has no message before it."""
        self.head = position
        self.buffer.restart(position)

    def gap(self, position: Position) -> None:
        """Declare a gap: messages behind the head, up to and including `position`, will never arrive."""
        item = Gap(self.head, position)
        self.head = position
        self.buffer.append(item)
        self.counts.gaps += 1
        frame = frames.gap(end_of(item.start), end_of(position))
        for client in self.clients:
            if client.pace is Pace.LIVE and client.subscriptions:
                self.send(client, frame)

    def tell_silence(self, module: str, silent: bool) -> None:
        """Tell the subscribers of a module that it fell silent, or sends again."""
        (self.silent.add if silent else self.silent.discard)(module)
        frame = frames.silence(module, silent)
        for client in self.index.of_module(module):
            if client.pace is Pace.SLOW:
                client.pending.append(frame)
            else:
                self.send(client, frame)

    def forget(self, before: str) -> list[str]:
        """Forget modules of which nothing was received since `before` (RFC 3339); return their names."""
        forgotten = self.latest.forget(before)
        self.silent.difference_update(forgotten)
        return forgotten

    def drop(self, module: str) -> None:
        """Forget one module, whatever was received of it."""
        self.latest.drop(module)
        self.silent.discard(module)

    # clients

    def join(self, client: Subscriber) -> None:
        """Add a connection that has no subscription yet."""
        self.clients.add(client)

    def leave(self, client: Subscriber) -> None:
        """Remove a closed connection."""
        client.subscriptions.clear()
        self.index.update(client)
        client.pending.clear()
        self.clients.discard(client)

    def show(
        self, client: Subscriber, names: Iterable[str], seq: Token, *, until: Token, after: Token = EARLIEST
    ) -> None:
        """Queue a snapshot of the subscriptions `names`: the newest values behind `after`, but not behind `until`."""
        self.counts.snapshots += 1
        for name in names:
            modules = deque(self.latest.modules if name == EVERYTHING else [name])
            client.pending.append(PendingSnapshot(name, modules, str(seq), after, until))

    def send(self, client: Subscriber, data: bytes, frames: int = 1) -> int:
        """Write whole frames to a client, and count them; return the number of bytes."""
        client.sink.write(data)
        self.counts.frames += frames
        self.counts.sent_bytes += len(data)
        return len(data)
