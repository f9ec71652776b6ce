"""Grants, changes and ends the subscriptions of a client. A new subscription leaves the client BEHIND; `catchup` then
sends its frames, values and messages.

Each call is one turn of the loop. Sends no message of the stream itself.
"""

from collections import deque
from collections.abc import Iterable

from seve_schema.position import Position, Token, end_of

from seve_broadcaster.fanout import slow_client
from seve_broadcaster.fanout.hub import Hub
from seve_broadcaster.fanout.subscriber import Pace, PendingSnapshot, Subscriber, Subscription
from seve_broadcaster.protocol import frames
from seve_broadcaster.protocol.requests import EVERYTHING, Refusal, Subscribe, Unsubscribe


def subscribe(hub: Hub, client: Subscriber, asked: Subscribe) -> None:
    """Grant the subscription as far as the client may see its modules. New modules get a snapshot; with `since`,
    the messages since that token follow instead.

    Leaves the client BEHIND, with frames and values pending for `catchup.advance`. Raises Refusal if nothing can be
    granted; otherwise tells the client which part is refused.
    """
    granted = _granted(hub, client, asked)
    stand = _fall_behind(hub, client)
    client.changes += 1
    since = asked.since
    if since is not None and (since.position.journal != hub.head.journal or since > stand):
        since = None
    _change(hub, client, asked, granted, since)
    if since is None:
        at = frames.snapshot_at(hub.head)
        if asked.since is not None:  # a token of another journal, or of one that was set back
            # where a journal was set back is not known: the client may lack anything of it
            start = min(asked.since, end_of(Position(hub.head.journal, 0)))
            # the gap precedes the new token: a client that disconnects in between is told of the gap again
            client.pending.append(frames.gap(start, stand))
        client.pending.append(frames.subscribed(granted, at))
        hub.show(client, granted, at, until=stand)
    else:
        _follow(hub, client, granted, since)
    client.greeting = True


def unsubscribe(hub: Hub, client: Subscriber, asked: Unsubscribe) -> None:
    """End subscriptions. Raises Refusal for a name that is not subscribed."""
    names = set(client.subscriptions) if EVERYTHING in asked.modules else asked.modules & set(client.subscriptions)
    client.changes += 1
    for name in names:
        del client.subscriptions[name]
    hub.index.update(client)
    _drop_snapshots(client, names)
    if unknown := asked.modules - names - {EVERYTHING}:
        raise Refusal("not_subscribed", f"not subscribed by that name: {', '.join(sorted(unknown)[:20])}")


def _granted(hub: Hub, client: Subscriber, asked: Subscribe) -> frozenset[str]:
    """Return the modules that a client may see; tell it which are refused. Raises Refusal if all are."""
    granted, refused = client.grant.resolve(asked.modules)
    if refused:
        refusal = Refusal("forbidden", f"not allowed: {', '.join(sorted(refused)[:20])}")
        if not granted:
            raise refusal
        client.sink.write(frames.error(refusal.code, refusal.explanation))
    if len(client.subscriptions.keys() | granted) > hub.max_subscriptions:
        raise Refusal("too_many", f"at most {hub.max_subscriptions} subscriptions per connection")
    return granted


def _follow(hub: Hub, client: Subscriber, granted: frozenset[str], since: Token) -> None:
    """Resume a client from a token."""
    client.pending.append(frames.subscribed(granted, since))
    if since.place == frames.UNSEEN:  # it disconnected during its snapshot, which is sent again before the replay
        hub.show(client, granted, since, until=since)
        since = end_of(since.position)
    client.cursor = min(client.cursor, since)


def _fall_behind(hub: Hub, client: Subscriber) -> Token:
    """Stop pushing to a client, so that other frames can be sent first; return the head."""
    head = end_of(hub.head)
    slow_client.relieve(hub, client)
    if client.pace is Pace.LIVE:
        client.pace = Pace.BEHIND
        client.cursor = head
    return head


def _change(hub: Hub, client: Subscriber, asked: Subscribe, granted: frozenset[str], since: Token | None) -> None:
    if since is not None:
        for name in client.subscriptions.keys() - granted:
            client.subscriptions[name].raise_floor(client.cursor)
    client.batch = client.batch if asked.batch is None else asked.batch
    client.slow = client.slow if asked.slow is None else asked.slow
    floor = since if since is not None else end_of(hub.head)
    _drop_snapshots(client, granted)
    for name in granted:
        client.subscriptions[name] = Subscription(asked.sensors, floor if client.cursor < floor else None)
    hub.index.update(client)


def _drop_snapshots(client: Subscriber, names: Iterable[str]) -> None:
    """Drop pending values of subscriptions that ended or begin again."""
    client.pending = deque(
        owed for owed in client.pending if not (isinstance(owed, PendingSnapshot) and owed.name in names)
    )
