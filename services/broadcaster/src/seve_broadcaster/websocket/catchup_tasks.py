"""Brings clients that are BEHIND to the head of the stream: at once, or in a task that waits for room in the buffer.

`fanout.catchup` decides the frames of a turn, and `journal_replay` sends the messages that are no longer in memory.
Neither opens nor ends a connection.
"""

import asyncio
from typing import Final

from seve_broadcaster.fanout import catchup
from seve_broadcaster.fanout.hub import Hub
from seve_broadcaster.fanout.subscriber import Pace
from seve_broadcaster.websocket.connection import Peer
from seve_broadcaster.websocket.journal_replay import JournalReplay

BUDGET: Final = 64 * 1024
"""Bytes sent per turn of the loop to a client that is BEHIND."""


class CatchupTasks:
    """At most one task per client of a hub."""

    def __init__(self, hub: Hub, replay: JournalReplay) -> None:
        self._hub = hub
        self._replay = replay

    def advance(self, peer: Peer) -> None:
        """Bring a client that is BEHIND to the head: at once if little is missing, else in a task."""
        client = peer.client
        if client.pace is not Pace.BEHIND or peer.pump is not None:
            return
        if not peer.paused and catchup.advance(self._hub, client, BUDGET) is catchup.Step.DONE:
            return
        peer.pump = asyncio.create_task(self._pump(peer), name="pump")

    async def _pump(self, peer: Peer) -> None:
        client = peer.client
        try:
            while client.pace is Pace.BEHIND and peer.open:
                await peer.room()
                if catchup.advance(self._hub, client, BUDGET) is catchup.Step.ELSEWHERE:
                    await self._replay.bring(peer)
                await asyncio.sleep(0)
        finally:
            peer.pump = None
