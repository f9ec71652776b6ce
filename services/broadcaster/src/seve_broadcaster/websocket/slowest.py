"""Lists the clients that are furthest behind, for the admin port. Metrics only say how many there are."""

from collections.abc import Iterable
from heapq import nlargest
from typing import Any, Final

from seve_broadcaster.fanout.hub import Hub
from seve_broadcaster.fanout.subscriber import Pace
from seve_broadcaster.websocket.connection import Peer

MOST: Final = 10


def slowest(peers: Iterable[Peer], hub: Hub) -> list[dict[str, Any]]:
    """Describe at most ten clients: those with the fullest buffers, then those that miss the most messages."""
    head = hub.head.sequence
    described = [_described(peer, head) for peer in list(peers)]  # copied in one step: the loop runs in another thread
    return nlargest(MOST, described, key=lambda one: (one["queueBytes"], one["missed"], one["behind"]))


def _described(peer: Peer, head: int) -> dict[str, Any]:
    client = peer.client
    live = client.pace is Pace.LIVE
    return {
        "address": peer.address,
        "pace": client.pace.value,
        "queueBytes": peer.buffered,
        "missed": client.missed,
        "behind": 0 if live else max(0, head - client.cursor.position.sequence),
        "subscriptions": len(client.subscriptions),
    }
