"""A client on its way to the head of the stream: sent what it is owed, at its own pace, until the hub can push to it.

First what is pending, then what memory holds behind its cursor; what memory does not reach is forwarded from HISTORY by
`replay`, or declared lost here. Each call is one turn of the loop. Waits for nothing and reads no socket.
"""

from collections import deque
from collections.abc import Iterator
from enum import Enum
from typing import Final

from seve_schema.position import Position

from seve_broadcaster.fanout.hub import Hub
from seve_broadcaster.fanout.subscriber import Client, Pace, States
from seve_broadcaster.protocol import frames
from seve_broadcaster.stream.message import Message
from seve_broadcaster.stream.replay_buffer import Gap

STATES_BYTES: Final = 128 * 1024
"""Most bytes of states in one frame of a client that asked for batches."""


class Step(Enum):
    """How far `advance` brought a client."""

    DONE = "at the head"
    MORE = "more of the same"
    ELSEWHERE = "the next is not in memory"


def advance(hub: Hub, client: Client, budget: int) -> Step:
    """Send about `budget` bytes of what a client that is BEHIND is owed."""
    budget -= flush(hub, client, budget)
    if client.pending:
        return Step.MORE
    if not hub.recent.reaches(client.cursor):
        return Step.ELSEWHERE
    for item in hub.recent.after(client.cursor):
        if budget <= 0:
            return Step.MORE
        budget -= forward(hub, client, item)
    _go_live(hub, client)
    return Step.DONE


def flush(hub: Hub, client: Client, budget: int) -> int:
    """Send about `budget` bytes of what is pending; gives how many."""
    sent = 0
    while client.pending and sent < budget:
        sent += hub.send(client, _next_pending(client))
    return sent


def forward(hub: Hub, client: Client, item: Message | Gap) -> int:
    """Send a client that is BEHIND the next item of the stream, or the rest of it; gives the bytes.

    Not one behind the head: HISTORY may be ahead of what was taken in here, and that comes when it comes.
    """
    sent = 0
    assert item.position <= hub.head  # noqa: S101  (the caller looked)
    if isinstance(item, Gap):
        if client.subscriptions:
            start = max(client.cursor, frames.end_of(item.start))
            sent = hub.send(client, frames.gap(start, frames.end_of(item.position)))
    else:
        subscription = client.subscription(item.module)
        if subscription and subscription.owes(item.module, item.kind, item.position):
            lane = client.lane(subscription)
            part = client.cursor.position == item.position
            made = item.wire_after(lane, client.cursor.place) if part else item.wire(lane)
            sent = hub.send(client, made.data, made.frames) if made.data else 0
    client.cursor = frames.end_of(item.position)
    return sent


def news(hub: Hub, client: Client, after: Position) -> Iterator[tuple[str, str, Position]]:
    """Modules and kinds that a client is owed with a message behind a position; and from where on it is owed."""
    for module, kind in hub.present.news(after):
        subscription = client.subscription(module)
        if subscription and subscription.owes(module, kind, hub.present.modules[module].kinds[kind]):
            floor = subscription.floor_of(module, kind)
            yield module, kind, max(after, floor.position) if floor else after


def lose(hub: Hub, client: Client, module: str, kind: str) -> None:
    """What a client that is BEHIND needs next of a module and kind is gone: say so, and owe it the present."""
    subscription = client.subscription(module)
    known = hub.present.modules.get(module)
    if subscription is None or known is None:
        return
    hub.counts.lost += 1
    start, stand = max(client.cursor, subscription.floor_of(module, kind) or client.cursor), frames.end_of(hub.head)
    subscription.lost = {**(subscription.lost or {}), (module, kind): stand}
    client.pending.append(frames.gap(start, stand, module, kind))
    entries = known.entries(subscription.sensors, kind=kind)
    if entries:
        client.pending.append(States(module, str(client.cursor), deque(entries)))


def give_up(hub: Hub, client: Client) -> None:
    """What a client needs next is held nowhere any more: say so, and owe it the present instead."""
    start, stand = client.cursor, frames.end_of(hub.head)
    client.pending.append(frames.gap(start, stand))
    hub.show(client, client.subscriptions, start)
    client.cursor = stand


def _next_pending(client: Client) -> bytes:
    owed = client.pending[0]
    if isinstance(owed, bytes):
        client.pending.popleft()
        return owed
    taken = [owed.entries.popleft().data]
    size = len(taken[0])
    while client.batch and owed.entries and size + len(owed.entries[0].data) <= STATES_BYTES:
        taken.append(owed.entries.popleft().data)
        size += len(taken[-1])
    if not owed.entries:
        client.pending.popleft()
    return frames.states(owed.seq, taken) if client.batch else frames.state(owed.seq, taken[0])


def _go_live(hub: Hub, client: Client) -> None:
    client.pace = Pace.LIVE
    client.cursor = frames.end_of(hub.head)
    for subscription in client.subscriptions.values():
        subscription.floor = subscription.lost = None
    if client.greeting:
        client.greeting = False
        for module in hub.silent:
            if client.subscription(module):
                hub.send(client, frames.silence(module, silent=True))
        hub.send(client, frames.live(client.cursor))
