"""Who gets what. The stream comes in once, in order; each client gets its part of it, or is told what it missed.

Everything here happens in one turn of the loop, so what a client is told is consistent at the head of the stream: a
snapshot holds all up to the head, and what follows it begins behind. What a client that is not live is owed is written
down with it, and sent by `catchup`. Waits for nothing and reads no socket.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from seve_schema.position import Position, Token

from seve_broadcaster.fanout.subscriber import Client, Pace, States, Subscription
from seve_broadcaster.fanout.subscription_index import Routes
from seve_broadcaster.protocol import frames
from seve_broadcaster.protocol.requests import EVERYTHING, Refusal, Subscribe, Unsubscribe
from seve_broadcaster.snapshot.snapshot import EARLIEST, NEVER, Present
from seve_broadcaster.stream.message import Message
from seve_broadcaster.stream.replay_buffer import Gap, Recent


@dataclass(slots=True)
class Counts:
    """What the hub did, since it began."""

    messages: int = 0
    envelopes: int = 0
    frames: int = 0
    sent_bytes: int = 0
    snapshots: int = 0
    skipped: int = 0
    gaps: int = 0
    lost: int = 0


class Hub:
    """The head of the stream, the present, and the clients."""

    def __init__(self, head: Position, present: Present, recent: Recent, max_subscriptions: int = 1000) -> None:
        self.head = head
        self.present = present
        self.recent = recent
        self.routes = Routes()
        self.clients: set[Client] = set()
        self.silent: set[str] = set()
        self.dark = NEVER  # up to here messages are lost of which not even the module is known
        self.counts = Counts()
        self._max_subscriptions = max_subscriptions

    # the stream

    def publish(self, message: Message) -> None:
        """The next message of the stream: into the present, into memory, and to every live client that wants it."""
        self.head = message.position
        self.present.apply(message)
        self.recent.append(message)
        counts = self.counts
        counts.messages += 1
        counts.envelopes += len(message.parts)
        for lane, clients in self.routes.of(message.module):
            made, sent = None, 0
            for client in clients:
                if client.pace is Pace.LIVE:
                    made = made or message.wire(lane)
                    if not made.envelopes:
                        break
                    client.sink.write(made.data)
                    sent += 1
                elif client.pace is Pace.SLOW:
                    client.missed += message.count(lane)
            if made is not None:
                counts.frames += sent * made.frames
                counts.sent_bytes += sent * len(made.data)

    def begin(self, position: Position) -> None:
        """The stream begins behind a position: what lies before was not taken in here."""
        self.head = position
        self.recent.restart(position)
        self.present.interrupted(position)

    def gap(self, position: Position) -> None:
        """What lies behind the head, up to and including `position`, will never come."""
        item = Gap(self.head, position)
        self.present.interrupted(position)
        self.head = position
        self.recent.append(item)
        self.counts.gaps += 1
        told = frames.gap(frames.end_of(item.start), frames.end_of(position))
        for client in self.clients:
            if client.pace is Pace.LIVE and client.subscriptions:
                self.send(client, told)

    def tell_silence(self, module: str, silent: bool) -> None:
        """A module fell silent, or speaks again."""
        (self.silent.add if silent else self.silent.discard)(module)
        told = frames.silence(module, silent)
        for _, clients in self.routes.of(module):
            for client in clients:
                if client.pace is Pace.SLOW:
                    client.pending.append(told)
                else:
                    self.send(client, told)

    # clients

    def join(self, client: Client) -> None:
        """A connection is open; it has asked for nothing yet."""
        self.clients.add(client)

    def leave(self, client: Client) -> None:
        """A connection is gone."""
        for name in client.subscriptions:
            self.routes.remove(client, name)
        client.subscriptions.clear()
        client.pending.clear()
        self.clients.discard(client)

    def subscribe(self, client: Client, asked: Subscribe) -> None:
        """Grant what may be granted. Fresh modules get the present; with `since`, what came after it follows instead.

        Leaves the client BEHIND, with what it is owed pending; `catchup.advance` brings it on. Raises Refusal where
        nothing of it can be granted; tells the client of the part that is refused.
        """
        granted = self._granted(client, asked)
        stand = self._fall_behind(client)
        client.changes += 1
        since = asked.since if asked.since is not None and asked.since <= stand else None
        self._change(client, asked, granted, since)
        if since is None:
            shown = frames.snapshot_at(self.head)
            client.pending.append(frames.subscribed(granted, shown))
            if asked.since is not None:  # another journal's, or one that was set back
                client.pending.append(frames.gap(asked.since, stand))
            self.show(client, granted, shown)
        else:
            self._follow(client, granted, since)
        client.greeting = True

    def unsubscribe(self, client: Client, asked: Unsubscribe) -> None:
        """No more of these modules. Raises Refusal for one that was not subscribed by that name."""
        names = set(client.subscriptions) if EVERYTHING in asked.modules else asked.modules & set(client.subscriptions)
        client.changes += 1
        for name in names:
            self.routes.remove(client, name)
            del client.subscriptions[name]
        client.pending = deque(owed for owed in client.pending if _wanted(client, owed))
        if unknown := asked.modules - names - {EVERYTHING}:
            raise Refusal("not_subscribed", f"not subscribed by that name: {', '.join(sorted(unknown)[:20])}")

    def overflow(self, client: Client) -> None:
        """The buffer of a client's connection is full. A live one is slow from here on."""
        if client.pace is Pace.LIVE:
            client.pace = Pace.SLOW
            client.cursor = frames.end_of(self.head)
            client.missed = 0

    def relieve(self, client: Client) -> None:
        """A slow client's buffer has emptied: say what it missed, and owe it the newest of what changed."""
        if client.pace is not Pace.SLOW:
            return
        client.pace = Pace.BEHIND
        if not client.missed:
            return
        stand, start = frames.end_of(self.head), client.cursor
        client.pending.append(frames.skipped(start, stand, client.missed))
        self.counts.skipped += client.missed
        self.show(client, client.subscriptions, start, after=start)
        client.cursor = stand
        client.missed = 0

    def show(
        self, client: Client, names: Iterable[str], seq: Token, after: Token = EARLIEST, until: Token | None = None
    ) -> None:
        """Owe a client the newest of each series of some of its subscriptions, as they are now."""
        self.counts.snapshots += 1
        for name in names:
            for module in self.present.modules if name == EVERYTHING else [name]:
                known = self.present.modules.get(module)
                if known is None or (name == EVERYTHING and module in client.subscriptions):
                    continue
                if known.position <= after.position:
                    continue
                entries = known.entries(client.subscriptions[name].sensors, after, until)
                if entries:
                    client.pending.append(States(module, str(seq), deque(entries)))

    def send(self, client: Client, data: bytes, frames: int = 1) -> int:
        """Write whole frames to a client, and count them; gives the bytes."""
        client.sink.write(data)
        self.counts.frames += frames
        self.counts.sent_bytes += len(data)
        return len(data)

    def _granted(self, client: Client, asked: Subscribe) -> frozenset[str]:
        """What a client may have of what it asked for. Tells it of the rest; raises Refusal where nothing is left."""
        granted, refused = client.grant.resolve(asked.modules)
        if refused:
            refusal = Refusal("forbidden", f"not allowed: {', '.join(sorted(refused)[:20])}")
            if not granted:
                raise refusal
            client.sink.write(frames.error(refusal.code, refusal.explanation))
        if len(client.subscriptions.keys() | granted) > self._max_subscriptions:
            raise Refusal("too_many", f"at most {self._max_subscriptions} subscriptions a connection")
        return granted

    def _follow(self, client: Client, granted: frozenset[str], since: Token) -> None:
        """Let a client walk on from where it broke off."""
        client.pending.append(frames.subscribed(granted, since))
        if since.place == frames.UNSEEN:  # it broke off within its snapshot: what changed since then is replayed
            self.show(client, granted, since, until=since)
            since = frames.end_of(since.position)
        client.cursor = min(client.cursor, since)

    def _fall_behind(self, client: Client) -> Token:
        """A client stops being pushed to, to be told something first; gives the head."""
        head = frames.end_of(self.head)
        self.relieve(client)
        if client.pace is Pace.LIVE:
            client.pace = Pace.BEHIND
            client.cursor = head
        return head

    def _change(self, client: Client, asked: Subscribe, granted: frozenset[str], since: Token | None) -> None:
        for name in client.subscriptions:
            self.routes.remove(client, name)
            if name not in granted and since is not None:
                client.subscriptions[name].raise_floor(client.cursor)
        client.batch = client.batch if asked.batch is None else asked.batch
        client.slow = client.slow if asked.slow is None else asked.slow
        floor = since if since is not None else frames.end_of(self.head)
        client.pending = deque(owed for owed in client.pending if not _of(owed, granted))
        for name in granted:
            client.subscriptions[name] = Subscription(asked.sensors, floor if client.cursor < floor else None)
        for name in client.subscriptions:
            self.routes.add(client, name)


def _wanted(client: Client, owed: bytes | States) -> bool:
    return isinstance(owed, bytes) or client.subscription(owed.module) is not None


def _of(owed: bytes | States, names: frozenset[str]) -> bool:
    return isinstance(owed, States) and (owed.module in names or EVERYTHING in names)
