"""One WebSocket connection: the protocol of the library websockets, and a sink of the hub.

Frames arrive here serialised and are passed to the transport unchanged; websockets does the rest of the protocol. The
keepalive of websockets is off, because its ping would wait behind a full buffer and never time out: the gateway pings
idle clients and reads `heard` instead. A connection whose buffer is full is not read: every request has an answer, and
unread answers must not pile up.
"""

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Protocol

from seve_runtime.rate_limit import TokenBucket
from websockets.asyncio.server import ServerConnection
from websockets.frames import Frame
from websockets.http11 import Request, Response
from websockets.protocol import Event, State

from seve_broadcaster.fanout.subscriber import Pace
from seve_broadcaster.websocket.http import rejected
from seve_broadcaster.websocket.turn import Turn

if TYPE_CHECKING:
    from seve_broadcaster.auth.grants import Grant
    from seve_broadcaster.fanout.subscriber import Subscriber

CLOSE_SECONDS = 5.0

OPEN_SECONDS = 3.0
"""Longest time from accepting a socket to its complete request, and from there to a WebSocket client or an answer."""

ANSWER_SECONDS = 60.0
"""Longest time in which a client may read an HTTP answer."""

PARSE_BYTES = 4 * 1024
"""Most bytes parsed at once. One read may bring 40,000 frames of six bytes, whose parsing would take half a second; the
rate limit is checked after each part.
"""

CHUNK_BYTES = 64 * 1024
"""Size of the parts in which an HTTP answer is given to the transport, which copies them: the answer itself is shared
by all its readers.
"""

TURN_BYTES = 16 * 1024
"""Most bytes per connection that wait for the end of a turn: only the transport's buffer reveals a slow client."""


class Owner(Protocol):
    """Callbacks of a connection, which the gateway implements."""

    def admits(self, peer: "Peer") -> bool:
        """Return whether one more socket may be open. A socket that is not admitted is cut at once."""

    def gone(self, peer: "Peer") -> None:
        """Called when an admitted socket is closed."""

    def cut(self, peer: "Peer", reason: str) -> None:
        """Called before a socket is cut: its request is `unfinished`, or its HTTP answer `unread`."""

    def rate(self, now: float) -> TokenBucket:
        """Return the rate limit for the frames of a new connection."""

    def full(self, peer: "Peer") -> None:
        """Called when the buffer exceeds its bound."""

    def drained(self, peer: "Peer") -> None:
        """Called when the buffer has emptied to a quarter of its bound."""

    def flooded(self, peer: "Peer") -> None:
        """Called when the client sends more frames than its rate allows."""


class Peer(ServerConnection):
    """A connection. `heard` is the loop time of its last whole frame or, while its buffer is full, of the buffer's last
    progress; `asked` is when it was last pinged.
    """

    address: str
    grant: "Grant"
    client: "Subscriber"
    turn: Turn
    heard: float = 0.0
    asked: float = 0.0
    pump: asyncio.Task[None] | None = None
    _kept: int = 0
    _left: int = 0
    _reading: bool = True
    _serving: bool = False
    _admitted: bool = False
    _flooded: bool = False
    _opening: asyncio.TimerHandle | None = None
    _room: asyncio.Future[None] | None = None

    def __init__(self, owner: Owner, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._owner = owner
        self._out: list[bytes] = []
        self.protocol.reject = rejected  # type: ignore[method-assign]  # websockets' own answers name the library

    def serve(self, client: "Subscriber", turn: Turn) -> None:
        """Serve `client` on this connection: from now on the owner is told when the buffer is full and when it
        drained.
        """
        self.client, self.turn, self._serving = client, turn, True

    def write(self, data: bytes) -> None:
        """Write whole frames, at the latest when this turn ends."""
        if not self._out:
            self.turn.add(self)
        self._out.append(data)
        self._kept += len(data)
        if self._kept >= TURN_BYTES and self.client.pace is Pace.LIVE:  # a client that is BEHIND has a budget instead
            self.flush()

    def flush(self) -> None:
        """Write the waiting frames to the transport now, if the connection is open."""
        out, self._out, self._kept = self._out, [], 0
        if out and self.protocol.state is State.OPEN:
            self.transport.writelines(out)

    def end(self, code: int, reason: str) -> None:
        """Send a close frame, and end the connection when the client answers it or after CLOSE_SECONDS."""
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
            await self._drain()

    async def answer(self, response: Response) -> Response:
        """Send an HTTP response as fast as the client reads it, and wait for the end of the connection.

        A client is cut off if it reads nothing for CLOSE_SECONDS, or not everything within ANSWER_SECONDS. The response
        is returned to websockets, which finds the connection closed and sends nothing.
        """
        self.opened()
        if self.transport.is_closing():  # the client has gone before its answer was ready
            return response
        body, head = memoryview(response.body), Response(response.status_code, response.reason_phrase, response.headers)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                self.transport.write(head.serialize())
                for start in range(0, len(body), CHUNK_BYTES):
                    while self.paused and self.protocol.state is not State.CLOSED:
                        await self._progress(self._drain())
                    self.transport.write(body[start : start + CHUNK_BYTES])
                if self.transport.can_write_eof():
                    self.transport.write_eof()
                else:
                    self.transport.close()
                while self.protocol.state is not State.CLOSED:
                    await self._progress(self.wait_closed())
        except TimeoutError:
            self._cut("unread")
            await self.wait_closed()
        return response

    async def _progress(self, awaitable: Awaitable[None]) -> None:
        """Wait for CLOSE_SECONDS at most. Raises TimeoutError if the client read nothing meanwhile."""
        left = self.buffered
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await awaitable
        except TimeoutError:
            if self.buffered >= left:
                raise

    async def _drain(self) -> None:
        if self._room is None:
            self._room = self.loop.create_future()
        await asyncio.shield(self._room)

    @property
    def buffered(self) -> int:
        """The number of bytes that wait for the socket."""
        return int(self.transport.get_write_buffer_size())

    @property
    def open(self) -> bool:
        """Whether the connection is open."""
        return self.protocol.state is State.OPEN

    def judge(self, now: float) -> None:
        """Update `heard` if a full buffer became smaller: the connection is not read then, so no pong can arrive."""
        if self.paused:
            left = self.buffered
            if left != self._left:
                self.heard = now
            self._left = left

    def connection_made(self, transport: Any) -> None:
        """Ask the owner to admit the new socket; start the deadline for its request."""
        self.heard = self.loop.time()
        peername = transport.get_extra_info("peername")
        self.address = str(peername[0]) if peername else ""
        self._rate = self._owner.rate(self.heard)
        super().connection_made(transport)
        self.recv_messages.pause = self.recv_messages.resume = self._read_or_not
        self._admitted = self._owner.admits(self)
        if self._admitted:
            self._open_soon()
        else:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """Parse received bytes in parts. After a flood the rest is ignored: the connection is about to be closed."""
        for start in range(0, len(data), PARSE_BYTES):
            if not self._flooded:
                super().data_received(data[start : start + PARSE_BYTES])

    def process_event(self, event: Event) -> None:
        """Process a request or a whole frame. Pings, pongs and fragments count against the rate, as messages do."""
        self.heard = self.loop.time()
        if isinstance(event, Request):
            self._open_soon()
        if isinstance(event, Frame) and not self._rate.allows(self.heard):
            if not self._flooded:
                self._flooded = True
                self._owner.flooded(self)
                self._read_or_not()
        else:
            super().process_event(event)

    def pause_writing(self) -> None:
        """Stop reading, and tell the owner that the buffer exceeds its bound."""
        super().pause_writing()
        self._left = self.buffered
        self._read_or_not()
        if self._serving:
            self._owner.full(self)

    def resume_writing(self) -> None:
        """Read again, and tell the owner that the buffer has emptied to a quarter of its bound."""
        super().resume_writing()
        self.heard = self.loop.time()
        self._read_or_not()
        self._make_room()
        if self._serving:
            self._owner.drained(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner that the socket is closed."""
        super().connection_lost(exc)
        self._make_room()
        self.opened()
        if self._admitted:
            self._owner.gone(self)

    def _open_soon(self) -> None:
        """Cut the connection unless `opened` is called within OPEN_SECONDS. Without this deadline, a client could fill
        the buffer with pongs before its request is answered, and the answer would wait for ever.
        """
        self.opened()
        self._opening = self.loop.call_later(OPEN_SECONDS, self._cut, "unfinished")

    def opened(self) -> None:
        """Cancel the deadline for opening: from here on other limits apply."""
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None

    def _cut(self, reason: str) -> None:
        self._owner.cut(self, reason)
        self.transport.abort()

    def _make_room(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self._room = None

    def _read_or_not(self) -> None:
        """Read from the socket unless received messages or unread answers wait, or after a flood."""
        reading = not (self.paused or self.recv_messages.paused or self._flooded)
        if reading != self._reading:
            self._reading = reading
            (self.transport.resume_reading if reading else self.transport.pause_reading)()
