"""Replays the journal to clients that are further behind than memory reaches, until memory reaches them.

Waiting clients share a pass over the journal: it begins behind the earliest of them and sends each the messages of its
subscriptions. A jump in the journal's sequence is a gap for all of them. A client whose connection stays full leaves
the pass, and asks for another one when it has room.

Passes: bound `PASSES`, each with one chunk of the journal in memory; overflow rule: the others wait; gauge: clients by
pace; counters: `replayed_clients`, `replayed_messages`.
"""

import asyncio
from typing import Final

import structlog
from nats.errors import Error as NatsError
from seve_runtime.errors import describe
from seve_runtime.lifecycle import Stop, first_of, pause
from seve_runtime.nats.direct import DirectClient
from seve_runtime.nats.stream_reader import Pass, reading
from seve_runtime.nats.topology import JOURNAL
from seve_schema.position import Position

from seve_broadcaster.fanout import catchup
from seve_broadcaster.fanout.hub import Hub
from seve_broadcaster.stream.extent import journal_extent
from seve_broadcaster.stream.message import Message
from seve_broadcaster.websocket.connection import Peer

log = structlog.get_logger()

PASSES: Final = 2
PATIENCE: Final = 1.0
"""Seconds that a pass waits for a client without room."""

RETRY_SECONDS: Final = 0.5
TURN_BYTES: Final = 64 << 10


class _Rider:
    """A client that takes part in a pass, or waits for one. `left` is set when the pass is over for it."""

    def __init__(self, hub: Hub, peer: Peer) -> None:
        self.peer = peer
        self.left = asyncio.Event()
        self._hub = hub
        self._changes = peer.client.changes

    @property
    def stays(self) -> bool:
        """Whether the pass goes on for this client: not if it is closed, has changed its subscriptions, has pending
        frames, or is within reach of memory.
        """
        client = self.peer.client
        at_hand = client.pending or client.changes != self._changes or self._hub.buffer.reaches(client.cursor)
        return self.peer.open and not at_hand


class JournalReplay:
    """Reads the journal for clients. `messages` counts the messages read, `clients` the clients served."""

    def __init__(self, client: DirectClient, hub: Hub) -> None:
        self.messages = 0
        self.clients = 0
        self._client = client
        self._js = client.jetstream()
        self._hub = hub
        self._waiting: list[_Rider] = []
        self._asked = asyncio.Event()

    async def bring(self, peer: Peer) -> None:
        """Bring a client closer to the messages in memory. The caller may have to call again."""
        self.clients += 1
        rider = _Rider(self._hub, peer)
        self._waiting.append(rider)
        self._asked.set()
        try:
            await rider.left.wait()
        finally:
            if rider in self._waiting:
                self._waiting.remove(rider)

    async def run(self, stop: Stop) -> None:
        """Serve waiting clients until `stop`."""
        await asyncio.gather(*(self._work(stop) for _ in range(PASSES)))

    async def _work(self, stop: Stop) -> None:
        while not stop.is_set():
            await first_of(self._asked, stop)
            riders, self._waiting = self._waiting, []
            self._asked.clear()
            try:
                await self._pass(riders, stop)
            except (NatsError, TimeoutError) as error:
                log.warning("replay interrupted", error=describe(error))
                await pause(stop, RETRY_SECONDS)
            finally:
                for rider in riders:
                    rider.left.set()

    async def _pass(self, riders: list[_Rider], stop: Stop) -> None:
        """Read from behind the earliest client until all have left. Raises nats.errors.Error and TimeoutError."""
        journal, floor = self._hub.head.journal, self._hub.buffer.floor
        for rider in riders:
            if rider.peer.client.cursor.position.journal != journal:
                catchup.lose(self._hub, rider.peer.client, self._hub.head)
        riders = _staying(riders)
        if not riders:
            return
        start = 1 + min(catchup.whole_up_to(rider.peer.client) for rider in riders)
        async with reading(self._client, JOURNAL, start=start) as stored:
            if (await journal_extent(self._js)).journal != journal:
                await pause(stop, RETRY_SECONDS)  # the journal was recreated; the feed will notice it too
                return
            left = await self._read(stored, journal, riders, stop)
        for rider in left:  # the end of the journal is reached: messages before those in memory no longer exist
            if rider.stays:
                catchup.lose(self._hub, rider.peer.client, floor)

    async def _read(self, stored: Pass, journal: int, riders: list[_Rider], stop: Stop) -> list[_Rider]:
        """Read until all clients have left, or to the end of the journal; return the remaining ones."""
        read = 0
        while (riders := _staying(riders)) and not stop.is_set() and (chunk := await stored.chunk()):
            for item in chunk:
                riders = _staying(await _with_room(riders))
                if not riders or item.sequence > self._hub.head.sequence:
                    return []
                message = Message.read(Position(journal, item.sequence), item.subject, item.data)
                self.messages += 1
                for rider in riders:
                    catchup.replay(self._hub, rider.peer.client, message)
                read += len(message.data)
                if read >= TURN_BYTES:
                    read = 0
                    await asyncio.sleep(0)
        return [] if stop.is_set() else riders


async def _with_room(riders: list[_Rider]) -> list[_Rider]:
    """Wait until every client has room, for PATIENCE seconds at most; mark those without room as left."""
    full = [asyncio.ensure_future(rider.peer.room()) for rider in riders if rider.peer.paused]
    if not full:
        return riders
    _, late = await asyncio.wait(full, timeout=PATIENCE)
    for wait in late:
        wait.cancel()
    for rider in riders:
        if rider.peer.paused:
            rider.left.set()
    return riders


def _staying(riders: list[_Rider]) -> list[_Rider]:
    """Mark clients as left for which the pass is over; return the others."""
    for rider in riders:
        if not rider.stays:
            rider.left.set()
    return [rider for rider in riders if not rider.left.is_set()]
