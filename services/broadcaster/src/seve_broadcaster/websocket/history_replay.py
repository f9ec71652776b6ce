"""Brings a client that is further behind than memory reaches up to it, from HISTORY; or says what is lost.

HISTORY drops the oldest of a subject first: behind a place, a subject is complete if its oldest message there is from
that place or before. That is judged after each read, for what was read, so what goes in between does not go unnoticed.
"""

import asyncio
from typing import Final

from seve_schema.position import Position, Token
from seve_schema.subjects import LIVE_PREFIX, module_token

from seve_broadcaster.fanout import catchup
from seve_broadcaster.fanout.hub import Hub
from seve_broadcaster.fanout.subscriber import Client
from seve_broadcaster.protocol import frames
from seve_broadcaster.protocol.requests import EVERYTHING
from seve_broadcaster.stream.history import LIVE, Extent, History
from seve_broadcaster.stream.replay_buffer import Item
from seve_broadcaster.websocket.connection import Peer

AT_ONCE: Final = 8
"""Clients that read HISTORY at the same time; the others wait, which costs nothing but their time."""

LAG_SECONDS: Final = 5.0
TURN_BYTES: Final = 64 << 10
BEHIND_SECONDS: Final = 0.05
"""What the hub is given to take in what HISTORY has already."""

MAX_FILTERS: Final = 64
"""Modules that are named to NATS; beyond, everything is read and sorted out here."""


class Replay:
    """Reads for clients. `messages` counts what was read, `clients` who came."""

    def __init__(self, hub: Hub, history: History) -> None:
        self.messages = 0
        self.clients = 0
        self._hub = hub
        self._history = history
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def bring(self, peer: Peer) -> None:
        """Bring a client to where memory begins. Raises nats.errors.Error and TimeoutError; it may be called again."""
        async with self._turns:
            self.clients += 1
            while peer.open and not self._hub.recent.reaches(peer.client.cursor):
                cursor, head = peer.client.cursor, self._hub.head
                if (
                    cursor.position < self._hub.dark
                    or cursor.position.journal != head.journal
                    or cursor.position > head
                    or (extent := await self._caught_up(head.journal)) is None
                ):
                    catchup.give_up(self._hub, peer.client)
                else:
                    await self._pass(peer, extent)

    async def _caught_up(self, journal: int) -> Extent | None:
        """HISTORY, once it has all that memory has let go, or holds nothing; None if it does not come to that."""
        loop = asyncio.get_running_loop()
        newest, progress = -1, loop.time()
        while loop.time() - progress < LAG_SECONDS:
            extent = await self._history.extent(journal)
            if extent.newest >= self._hub.recent.floor.sequence or extent.empty:
                return extent
            if extent.newest > newest:
                newest, progress = extent.newest, loop.time()
            await asyncio.sleep(0.05)
        return None

    async def _pass(self, peer: Peer, extent: Extent) -> None:
        """Send what HISTORY has, at least up to `extent`, and declare what it lacks.

        Ends where memory is reached, where HISTORY is ahead of the hub, or where the client asked for something else.
        Only when HISTORY was read to its end may the cursor pass over what it held nothing of, and no further than was
        meant at the beginning: memory moves on meanwhile.
        """
        client, journal, floor = peer.client, self._hub.head.journal, self._hub.recent.floor.sequence
        judged, changes = -1, client.changes
        async with self._history.reading(journal, _after(client), _subjects(client)) as reader:
            while True:
                chunk = await reader.chunk()
                judged = await self._judge(client, journal, judged)
                if not await self._send(peer, chunk, changes) or self._hub.recent.reaches(client.cursor):
                    return
                if not chunk:
                    break
        if client.changes == changes:
            reached = floor if extent.empty else min(extent.newest, floor)
            client.cursor = max(client.cursor, frames.end_of(Position(journal, reached)))

    async def _judge(self, client: Client, journal: int, judged: int) -> int:
        """Declare what was lost behind the client's cursor, unless nothing went since it was judged last."""
        extent = await self._history.extent(journal)
        after = _after(client)
        if extent.removed == judged or (not extent.holes and not extent.empty and extent.oldest <= after + 1):
            return extent.removed
        place = Position(journal, after)
        for module, kind, behind in list(catchup.news(self._hub, client, place)):
            first = await self._history.first(f"{LIVE_PREFIX}.{module_token(module)}.{kind}", journal)
            if not self._hub.present.complete(module, kind, behind, first):
                catchup.lose(self._hub, client, module, kind)
        return extent.removed

    async def _send(self, peer: Peer, chunk: list[Item], changes: int) -> bool:
        """Send what is pending and a chunk; False where some of it was left out."""
        client, sent = peer.client, TURN_BYTES
        while client.pending and peer.open:
            await peer.room()
            catchup.flush(self._hub, client, TURN_BYTES)
        for item in chunk:
            if sent >= TURN_BYTES:
                await peer.room()
                await asyncio.sleep(0)
                sent = 0
            if not peer.open or client.changes != changes:
                return False
            if item.position > self._hub.head:
                await asyncio.sleep(BEHIND_SECONDS)
                return False
            if item.position.sequence > _after(client):
                sent += catchup.forward(self._hub, client, item)
                self.messages += 1
        return peer.open


def _after(client: Client) -> int:
    """The sequence up to which a client has every message whole."""
    cursor: Token = client.cursor
    return cursor.position.sequence - (cursor.place != frames.WHOLE)


def _subjects(client: Client) -> tuple[str, ...]:
    if EVERYTHING in client.subscriptions or not 0 < len(client.subscriptions) <= MAX_FILTERS:
        return (LIVE,)
    return tuple(f"{LIVE_PREFIX}.{module_token(name)}.>" for name in client.subscriptions)
