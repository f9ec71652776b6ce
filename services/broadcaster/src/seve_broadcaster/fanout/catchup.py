"""Brings a client that is BEHIND to the head of the stream, at the pace of its connection; then the hub pushes to it.

Sends pending frames and values first, then the messages in memory behind its cursor. Older messages come from the
journal (`seve_broadcaster.websocket.journal_replay`). Each call is one turn of the loop. Waits for nothing and reads no
socket.
"""

from enum import Enum
from typing import Final

from seve_schema.position import WHOLE, Position, Token, end_of

from seve_broadcaster.fanout.hub import Hub
from seve_broadcaster.fanout.subscriber import Pace, PendingSnapshot, Subscriber
from seve_broadcaster.protocol import frames
from seve_broadcaster.protocol.requests import EVERYTHING
from seve_broadcaster.stream.message import Message
from seve_broadcaster.stream.replay_buffer import Gap

STATES_BYTES: Final = 128 * 1024
"""Most bytes of values in one frame of a client that asked for batches."""

ENCODED: Final = 8
"""Most audiences for which the encoded frames of one message are cached. Most clients of a crowd belong to the same
audience; without a bound, every client could add one of its own.
"""


class Step(Enum):
    """How far `advance` brought a client."""

    DONE = "at the head"
    MORE = "more to send"
    ELSEWHERE = "the next message is not in memory"


def advance(hub: Hub, client: Subscriber, budget: int) -> Step:
    """Send about `budget` bytes to a client that is BEHIND, and make it LIVE if that brings it to the head."""
    budget -= flush(hub, client, budget)
    if client.pending:
        return Step.MORE
    if not hub.buffer.reaches(client.cursor):
        return Step.ELSEWHERE
    for item in hub.buffer.after(client.cursor):
        if budget <= 0:
            return Step.MORE
        budget -= forward(hub, client, item)
    _go_live(hub, client)
    return Step.DONE


def flush(hub: Hub, client: Subscriber, budget: int) -> int:
    """Send about `budget` bytes of pending frames and values; return the number of bytes sent."""
    sent = 0
    while client.pending and sent < budget:
        owed = client.pending[0]
        data = owed if isinstance(owed, bytes) else _next_values(hub, client, owed)
        if data is None or isinstance(owed, bytes):
            client.pending.popleft()
        if data is not None:
            sent += hub.send(client, data)
    return sent


def forward(hub: Hub, client: Subscriber, item: Message | Gap) -> int:
    """Send a client that is BEHIND the next item of the stream, or the rest of it; return the number of bytes.

    The item must not lie behind the hub's head. The caller checks that, since a replay of the journal may be ahead of
    the hub.
    """
    sent = 0
    assert item.position <= hub.head  # noqa: S101  (the caller checked)
    if isinstance(item, Message):
        sent = _forward_message(hub, client, item)
    elif client.owed_before(item.position):
        start = max(client.cursor, end_of(item.start))
        sent = hub.send(client, frames.gap(start, end_of(item.position)))
    client.cursor = end_of(item.position)
    return sent


def whole_up_to(client: Subscriber) -> int:
    """Return the sequence up to which a client has every message, and each of them completely."""
    position, place = client.cursor
    return position.sequence - (place != WHOLE)


def replay(hub: Hub, client: Subscriber, message: Message) -> None:
    """Send a client that is BEHIND the next message of the journal. Messages that it lacks before that one are lost."""
    journal, sequence = message.position
    if whole_up_to(client) < sequence - 1:
        lose(hub, client, Position(journal, sequence - 1))
    elif whole_up_to(client) < sequence:
        forward(hub, client, message)


def lose(hub: Hub, client: Subscriber, position: Position) -> None:
    """Queue a gap up to `position` for a client that is BEHIND, and the newest values that changed within it.

    Values that changed again after the gap are left out, because those messages follow.
    """
    start, end = client.cursor, end_of(position)
    if start >= end:
        return
    if client.owed_before(position):
        hub.counts.lost += 1
        client.pending.append(frames.gap(start, end))
        hub.show(client, client.subscriptions, start, after=start, until=end)
    client.cursor = end


def _forward_message(hub: Hub, client: Subscriber, message: Message) -> int:
    audience = hub.index.audience(client)
    if audience is None:
        return 0
    partly = client.cursor.position == message.position
    if not partly and all(one.floor is None for one in client.subscriptions.values()):
        data = message.encoded.get(audience)
        places = audience.places(message)
        if data is None and places:
            if len(message.encoded) >= ENCODED:
                del message.encoded[next(iter(message.encoded))]
            data = message.encoded[audience] = audience.frames(message, places)
        return hub.send(client, data, audience.count(places)) if data else 0
    places = [place for place in audience.places(message) if _owed(client, message, place)]
    return hub.send(client, audience.frames(message, places), audience.count(places)) if places else 0


def _owed(client: Subscriber, message: Message, place: int) -> bool:
    """Return whether a subscribed envelope lies behind the client's cursor and behind its subscription's floor."""
    token = Token(message.position, place)
    subscription = client.subscription(message.heads[place].module_id)
    floor = subscription.floor if subscription else None
    return token > client.cursor and (floor is None or token > floor)


def _next_values(hub: Hub, client: Subscriber, snapshot: PendingSnapshot) -> bytes | None:
    """Return the next frame of a snapshot, None at its end."""
    while not snapshot.entries:
        if not snapshot.modules:
            return None
        name = snapshot.modules.popleft()
        module = hub.latest.modules.get(name)
        subscription = client.subscriptions.get(snapshot.name)
        if module is None or subscription is None or module.position <= snapshot.after.position:
            continue
        if snapshot.name == EVERYTHING and name in client.subscriptions:
            continue
        snapshot.entries.extend(module.entries(subscription.sensors, snapshot.after, snapshot.until))
    data = [snapshot.entries.popleft().data]
    size = len(data[0])
    while client.batch and snapshot.entries and size + len(snapshot.entries[0].data) <= STATES_BYTES:
        data.append(snapshot.entries.popleft().data)
        size += len(data[-1])
    return frames.states(snapshot.seq, data) if client.batch else frames.state(snapshot.seq, data[0])


def _go_live(hub: Hub, client: Subscriber) -> None:
    client.pace = Pace.LIVE
    client.cursor = end_of(hub.head)
    for subscription in client.subscriptions.values():
        subscription.floor = None
    if client.greeting:
        client.greeting = False
        for module in hub.silent:
            if client.subscription(module):
                hub.send(client, frames.silence(module, silent=True))
        hub.send(client, frames.live(client.cursor))
