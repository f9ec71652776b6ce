"""Handles clients whose connection cannot keep up. While its buffer is full, a client is SLOW and is sent nothing. Once
the buffer has emptied, a `skipped` frame says how many messages it missed, and the newest values follow.

A client that asked for `slow: disconnect` is closed instead (`websocket/server.py`). Watches no buffer itself.
"""

from seve_schema.position import end_of

from seve_broadcaster.fanout.hub import Hub
from seve_broadcaster.fanout.subscriber import Pace, Subscriber
from seve_broadcaster.protocol import frames


def overflow(hub: Hub, client: Subscriber) -> None:
    """Make a live client SLOW because the buffer of its connection is full."""
    if client.pace is Pace.LIVE:
        client.pace = Pace.SLOW
        client.cursor = end_of(hub.head)
        client.missed = 0


def relieve(hub: Hub, client: Subscriber) -> None:
    """Let a SLOW client whose buffer has emptied catch up: queue how much it missed, and the newest values."""
    if client.pace is not Pace.SLOW:
        return
    client.pace = Pace.BEHIND
    if not client.missed:
        return
    stand, start = end_of(hub.head), client.cursor
    client.pending.append(frames.skipped(start, stand, client.missed))
    hub.counts.skipped += client.missed
    hub.show(client, client.subscriptions, start, after=start, until=stand)
    client.cursor = stand
    client.missed = 0
