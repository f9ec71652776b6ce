"""One WebSocket connection as websockets keeps it, and as a sink of the hub.

Frames arrive here serialised and go to the transport as they are; websockets does the rest of the protocol. Its own
pings stay off: a ping would wait behind a full buffer and never time out, so `server` looks at `heard` instead.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from websockets.asyncio.server import ServerConnection
from websockets.protocol import State

from seve_broadcaster.fanout.subscriber import Pace

if TYPE_CHECKING:
    from seve_broadcaster.auth.grants import Grant
    from seve_broadcaster.fanout.subscriber import Client

CLOSE_SECONDS = 5.0

TURN_BYTES = 16 * 1024
"""Most that one turn keeps back from a connection: only what the transport holds can tell that a client is slow."""


class Turn:
    """Connections that were written to in this turn of the loop. Each is written out once, when the turn ends.

    uvloop asks the system to send at each write, 3 µs for each client, which was most of what a frame cost. What comes
    in one read from NATS leaves in one write.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._peers: list[Peer] = []

    def add(self, peer: "Peer") -> None:
        """A connection has something to write out."""
        if not self._peers:
            self._loop.call_soon(self._flush)
        self._peers.append(peer)

    def _flush(self) -> None:
        peers, self._peers = self._peers, []
        for peer in peers:
            peer.flush()


class Peer(ServerConnection):
    """A connection. `heard` is when its socket last brought anything, `asked` when it was pinged (loop time)."""

    grant: "Grant"
    client: "Client"
    turn: Turn
    heard: float = 0.0
    asked: float = 0.0
    counted: bool = False
    on_full: Callable[["Peer"], None] | None = None
    on_drained: Callable[["Peer"], None] | None = None
    _out: list[bytes]
    _kept: int = 0
    pump: asyncio.Task[None] | None = None
    _room: asyncio.Future[None] | None = None

    def write(self, data: bytes) -> None:
        """Write whole frames, at the latest when this turn ends; nothing else of ours ever writes a part of one."""
        if not self._out:
            self.turn.add(self)
        self._out.append(data)
        self._kept += len(data)
        if self._kept >= TURN_BYTES and self.client.pace is Pace.LIVE:  # one that is behind is bounded by its budget
            self.flush()

    def flush(self) -> None:
        """Write out now, if the connection is open."""
        out, self._out, self._kept = self._out, [], 0
        if out and self.protocol.state is State.OPEN:
            self.transport.writelines(out)

    def end(self, code: int, reason: str) -> None:
        """Send a close frame, and end the connection when it is answered or five seconds have passed."""
        self.flush()
        if self.protocol.state is State.OPEN:
            self.protocol.send_close(code, reason)
            self.send_data()
            self.loop.call_later(CLOSE_SECONDS, self.transport.abort)

    def ask(self, now: float) -> None:
        """Send a ping."""
        self.asked = now
        self.flush()
        if self.protocol.state is State.OPEN:
            self.protocol.send_ping(b"")
            self.send_data()

    async def room(self) -> None:
        """Wait until the buffer is no longer full, or the connection is lost."""
        while self.paused and self.open:
            if self._room is None:
                self._room = self.loop.create_future()
            await asyncio.shield(self._room)

    @property
    def buffered(self) -> int:
        """Bytes that wait for the socket."""
        return int(self.transport.get_write_buffer_size())

    @property
    def open(self) -> bool:
        """Whether the connection is open."""
        return self.protocol.state is State.OPEN

    def connection_made(self, transport: Any) -> None:
        """The socket is connected."""
        self.heard = self.loop.time()
        self._out = []
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """The socket brought something: the peer lives."""
        self.heard = self.loop.time()
        super().data_received(data)

    def pause_writing(self) -> None:
        """The buffer passed its bound."""
        super().pause_writing()
        if self.on_full is not None:
            self.on_full(self)

    def resume_writing(self) -> None:
        """The buffer emptied to a quarter of its bound."""
        super().resume_writing()
        self._make_room()
        if self.on_drained is not None:
            self.on_drained(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        super().connection_lost(exc)
        self._make_room()

    def _make_room(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self._room = None
