"""Distributes the stream: it arrives once, in order; each client gets its part of it, or is told what it missed.

Each call runs within one turn of the loop, so that all frames to a client agree on the head of the stream: a snapshot
holds everything up to the head, and live messages begin behind it. Frames and values for a client that is not live are
kept with it as `pending`, and sent by `catchup`. Waits for nothing and reads no socket.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from seve_schema.position import Position, Token, end_of

from seve_broadcaster.fanout.subscriber import Pace, Snapshot, Subscriber, Subscription
from seve_broadcaster.fanout.subscription_index import SubscriptionIndex
from seve_broadcaster.protocol import frames
from seve_broadcaster.protocol.requests import EVERYTHING, Refusal, Subscribe, Unsubscribe
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
        self._max_subscriptions = max_subscriptions

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

    def subscribe(self, client: Subscriber, asked: Subscribe) -> None:
        """Grant the subscription as far as the client may see its modules. New modules get a snapshot; with `since`,
        the messages since that token follow instead.

        Leaves the client BEHIND, with frames and values pending for `catchup.advance`. Raises Refusal if nothing can be
        granted; otherwise tells the client which part is refused.
        """
        granted = self._granted(client, asked)
        stand = self._fall_behind(client)
        client.changes += 1
        since = asked.since
        if since is not None and (since.position.journal != self.head.journal or since > stand):
            since = None
        self._change(client, asked, granted, since)
        if since is None:
            at = frames.snapshot_at(self.head)
            if asked.since is not None:  # a token of another journal, or of one that was set back
                client.pending.append(
                    frames.gap(asked.since, stand)
                )  # before the new token: who breaks off is told again
            client.pending.append(frames.subscribed(granted, at))
            self.show(client, granted, at, until=stand)
        else:
            self._follow(client, granted, since)
        client.greeting = True

    def unsubscribe(self, client: Subscriber, asked: Unsubscribe) -> None:
        """End subscriptions. Raises Refusal for a name that is not subscribed."""
        names = set(client.subscriptions) if EVERYTHING in asked.modules else asked.modules & set(client.subscriptions)
        client.changes += 1
        for name in names:
            del client.subscriptions[name]
        self.index.update(client)
        self._drop_snapshots(client, names)
        if unknown := asked.modules - names - {EVERYTHING}:
            raise Refusal("not_subscribed", f"not subscribed by that name: {', '.join(sorted(unknown)[:20])}")

    def overflow(self, client: Subscriber) -> None:
        """Make a live client SLOW because the buffer of its connection is full."""
        if client.pace is Pace.LIVE:
            client.pace = Pace.SLOW
            client.cursor = end_of(self.head)
            client.missed = 0

    def relieve(self, client: Subscriber) -> None:
        """Let a SLOW client whose buffer has emptied catch up: queue how much it missed, and the newest values."""
        if client.pace is not Pace.SLOW:
            return
        client.pace = Pace.BEHIND
        if not client.missed:
            return
        stand, start = end_of(self.head), client.cursor
        client.pending.append(frames.skipped(start, stand, client.missed))
        self.counts.skipped += client.missed
        self.show(client, client.subscriptions, start, after=start, until=stand)
        client.cursor = stand
        client.missed = 0

    def show(
        self, client: Subscriber, names: Iterable[str], seq: Token, *, until: Token, after: Token = EARLIEST
    ) -> None:
        """Queue the newest values of some subscriptions for a client, behind `after` and not behind `until`."""
        self.counts.snapshots += 1
        for name in names:
            modules = deque(self.latest.modules if name == EVERYTHING else [name])
            client.pending.append(Snapshot(name, modules, str(seq), after, until))

    def send(self, client: Subscriber, data: bytes, frames: int = 1) -> int:
        """Write whole frames to a client, and count them; return the number of bytes."""
        client.sink.write(data)
        self.counts.frames += frames
        self.counts.sent_bytes += len(data)
        return len(data)

    def _granted(self, client: Subscriber, asked: Subscribe) -> frozenset[str]:
        """Return the modules that a client may see; tell it which are refused. Raises Refusal if all are."""
        granted, refused = client.grant.resolve(asked.modules)
        if refused:
            refusal = Refusal("forbidden", f"not allowed: {', '.join(sorted(refused)[:20])}")
            if not granted:
                raise refusal
            client.sink.write(frames.error(refusal.code, refusal.explanation))
        if len(client.subscriptions.keys() | granted) > self._max_subscriptions:
            raise Refusal("too_many", f"at most {self._max_subscriptions} subscriptions per connection")
        return granted

    def _follow(self, client: Subscriber, granted: frozenset[str], since: Token) -> None:
        """Resume a client from a token."""
        client.pending.append(frames.subscribed(granted, since))
        if since.place == frames.UNSEEN:  # it disconnected within its snapshot: changes since then are replayed
            self.show(client, granted, since, until=since)
            since = end_of(since.position)
        client.cursor = min(client.cursor, since)

    def _fall_behind(self, client: Subscriber) -> Token:
        """Stop pushing to a client, so that other frames can be sent first; return the head."""
        head = end_of(self.head)
        self.relieve(client)
        if client.pace is Pace.LIVE:
            client.pace = Pace.BEHIND
            client.cursor = head
        return head

    def _change(self, client: Subscriber, asked: Subscribe, granted: frozenset[str], since: Token | None) -> None:
        if since is not None:
            for name in client.subscriptions.keys() - granted:
                client.subscriptions[name].raise_floor(client.cursor)
        client.batch = client.batch if asked.batch is None else asked.batch
        client.slow = client.slow if asked.slow is None else asked.slow
        floor = since if since is not None else end_of(self.head)
        self._drop_snapshots(client, granted)
        for name in granted:
            client.subscriptions[name] = Subscription(asked.sensors, floor if client.cursor < floor else None)
        self.index.update(client)

    def _drop_snapshots(self, client: Subscriber, names: Iterable[str]) -> None:
        """Drop pending values of subscriptions that ended or begin again."""
        client.pending = deque(
            owed for owed in client.pending if not (isinstance(owed, Snapshot) and owed.name in names)
        )
