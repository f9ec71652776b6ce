"""Receives and publishes NATS messages without nats-py's queues, at the rate of the pipeline.

nats-py fills a buffer and wakes a task for each read. For each received message it creates a dictionary of headers, an
object and a queue entry, and wakes another task; for each published message it builds the header block again. Here a
handler gets each message directly from the bytes of the socket, and a published message goes into the next write.
nats-py still does everything else: connecting, authentication, TLS, reconnecting, requests, other subscriptions. Only
this file uses its private names (decisions 0801 and 0803).
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import msgspec
from nats.aio.client import DEFAULT_BUFFER_SIZE, Client
from nats.aio.subscription import Subscription
from nats.errors import (
    ConnectionClosedError,
    ConnectionDrainingError,
    MaxPayloadError,
    OutboundBufferLimitError,
    ProtocolError,
)
from nats.protocol.parser import Parser

CRLF: Final = b"\r\n"
_MESSAGE: Final = (b"MSG", b"HMSG")


class NatsMessage(msgspec.Struct, gc=False):
    """A received message. `headers` is the whole header block, which begins with `NATS/1.0`, or empty."""

    subject: str
    reply: str
    data: bytes
    headers: bytes = b""

    def header(self, name: str) -> str | None:
        """Return the value of a header, by its exact name, or None."""
        start = self.headers.find(f"\r\n{name}: ".encode())
        if start < 0:
            return None
        start += len(name) + 4
        return self.headers[start : self.headers.index(CRLF, start)].decode()

    @property
    def status(self) -> tuple[str, str]:
        """The code and description of a status message of the server; both are empty for a published message."""
        _, _, status = self.headers[: self.headers.find(CRLF)].decode().partition(" ")
        code, _, description = status.partition(" ")
        return code, description


Handler = Callable[[NatsMessage], None]
"""Handles one message. It runs while the socket is read, so slow work belongs into a task."""

TURN_BYTES: Final = 64 << 10
"""Most bytes handled in one turn of the event loop: transports write their buffers between turns."""


class DirectClient(Client):
    """nats-py's client with direct subscriptions and publishes.

    `read_pace` is the time between two reads in seconds, while the rate is low: one wake-up then serves many messages.
    Each message may arrive later by that time. With 0 the socket is read as soon as it has data.
    """

    def __init__(self) -> None:
        super().__init__()
        self.read_pace = 0.0
        self._handlers: dict[bytes, Handler] = {}
        self._ps = _DirectParser(self, self._handlers)

    async def subscribe_direct(self, subject: str, handler: Handler) -> Subscription:
        """Call `handler` with each message of `subject`, in order, until the subscription ends.

        Nothing is queued: while a handler is slow, messages wait in the socket, and then in the server.
        """
        number = self._sid + 1  # nats-py's next number: the first message may arrive before `subscribe` returns
        self._handlers[str(number).encode()] = handler
        subscription = await self.subscribe(subject, cb=_never)
        assert subscription._id == number  # noqa: S101, SLF001  (no other code ran in between)
        return subscription

    def _remove_sub(self, sid: int, max_msgs: int = 0) -> None:
        super()._remove_sub(sid, max_msgs)
        self._handlers.pop(str(sid).encode(), None)

    def publish_direct(self, subject: str, data: bytes, reply: str = "", headers: bytes = b"") -> None:
        """Publish with the next write. `headers` is a block as in `NatsMessage`; its names are not checked.

        If no other command is pending, this one is written to the transport at once: nats-py's flusher costs a turn of
        a task. Never blocks: the caller has to bound its messages in flight. Raises the errors of nats-py's `publish`.
        """
        if self.is_closed:
            raise ConnectionClosedError
        if self.is_draining_pubs:
            raise ConnectionDrainingError
        if len(data) > self._max_payload:
            raise MaxPayloadError
        connected = self.is_connected
        if not connected and self._pending_data_size + len(data) > self._max_pending_size:
            raise OutboundBufferLimitError
        size = len(data)
        if headers:
            line = f"HPUB {subject} {reply} {len(headers)} {len(headers) + size}\r\n".encode()
        else:
            line = f"PUB {subject} {reply} {size}\r\n".encode()
        command = b"".join((line, headers, data, CRLF))
        if connected and not self._pending_data_size:
            with suppress(RuntimeError):  # uvloop's transport is closed, and nats-py has not noticed it yet
                self._transport.write(command)  # type: ignore[union-attr]  # not None while it is connected
                return
        self._pending.append(command)
        self._pending_data_size += len(command)
        if connected and self._flush_queue is not None and self._flush_queue.empty():
            self._flush_queue.put_nowait(asyncio.get_running_loop().create_future())


class _DirectParser(Parser):
    """Parses messages of direct subscriptions; passes every other line to nats-py. `handlers` are by subscription.

    `take` gets the bytes of each read of the socket. A large read, and any read from another line on, goes to nats-py's
    reader, whose task calls `parse`. Until that has handled these bytes (`_behind`), all further reads go there too:
    this keeps the order, and the back-pressure of the reader.
    """

    def __init__(self, client: DirectClient, handlers: dict[bytes, Handler]) -> None:
        self._handlers = handlers
        self._errors: set[asyncio.Future[Any]] = set()
        super().__init__(client)

    def reset(self) -> None:
        """Reset the state for a new connection."""
        super().reset()
        self._parts: list[bytes] = []
        self._lacking = 0
        self._behind = 0
        self._turn = 0
        self.socket: _Socket | None = None

    def take(self, data: bytes) -> bytes:
        """Handle the messages that `data` completes, and return the bytes for nats-py's reader."""
        rest = b""
        if self._behind or len(data) > TURN_BYTES:
            rest = data
        elif whole := self._whole(data):
            at, length = self._consume(whole, 0)
            rest, self._parts = (whole[at:], []) if length else (b"", [whole[at:]])
        self._behind += len(rest)
        return rest

    async def parse(self, data: bytes = b"") -> None:
        """Handle the messages that `data`, read from nats-py's reader, completes. Raises ProtocolError."""
        if self.socket is None and self.nc.is_connected and len(data) < DEFAULT_BUFFER_SIZE:  # the reader is empty
            self.socket, self._behind = _Socket(self), len(data)
        if whole := self._whole(data):
            at, length = self._consume(whole, 0)
            while length:
                await super().parse(whole[at : at + length])
                if self.buf:
                    raise ProtocolError("nats: unknown protocol")
                at, length = self._consume(whole, at + length)
            self._parts = [whole[at:]]
        self._behind -= len(data)
        self._turn += len(data)
        if self._turn >= TURN_BYTES:
            self._turn = 0
            await asyncio.sleep(0)
        if self.socket is not None and not self._behind:
            self.socket.pace(len(data))

    def _whole(self, data: bytes) -> bytes:
        """Return all bytes that are not handled yet, or nothing if `data` cannot complete a line or message."""
        self._parts.append(data)
        self._lacking -= len(data)
        return b"" if self._lacking > 0 else b"".join(self._parts)

    def _consume(self, data: bytes, at: int) -> tuple[int, int]:
        """Handle messages from offset `at` on. Return the offset of the rest, and the length of its first line or
        message, which is one for nats-py. The length is 0 if that is incomplete: at least `_lacking` bytes are missing.
        """
        while (end := data.find(CRLF, at)) >= 0:
            words = data[at:end].split()
            body = after = end + 2
            handler = None
            if words and words[0] in _MESSAGE:
                headed = words[0] == b"HMSG"
                try:
                    after, number = body + int(words[-1]) + 2, words[2]
                    head = body + (int(words[-2]) if headed else 0)
                except (ValueError, IndexError):  # nats-py reports the error
                    return at, body - at
                if len(data) < after:
                    self._lacking = after - len(data)
                    return at, 0
                handler = self._handlers.get(number)
            if handler is None:
                return at, after - at
            reply = words[3].decode() if len(words) == 5 + headed else ""
            try:
                handler(NatsMessage(words[1].decode(), reply, data[head : after - 2], data[body:head]))
            except Exception as error:  # like nats-py with its callbacks: report it, continue with the next message
                self._report(error)
            at = after
        self._lacking = 1
        return at, 0

    def _report(self, error: Exception) -> None:
        task = asyncio.ensure_future(self.nc._error_cb(error))  # noqa: SLF001
        self._errors.add(task)
        task.add_done_callback(self._errors.discard)


class _Socket(asyncio.Protocol):
    """Replaces nats-py's protocol at the transport, and passes on to it the bytes that the parser does not handle."""

    def __init__(self, parser: _DirectParser) -> None:
        self._parser = parser
        self._loop = asyncio.get_running_loop()
        self._transport = parser.nc._transport._io_writer.transport  # noqa: SLF001
        self._reader = self._transport.get_protocol()
        self._transport.set_protocol(self)

    def data_received(self, data: bytes) -> None:
        """Give received bytes to the parser, and the rest to nats-py."""
        rest = self._parser.take(data) if self._parser.socket is self else data
        if rest:
            self._reader.data_received(rest)
        else:
            self.pace(len(data))

    def pace(self, size: int) -> None:
        """Pause reading for `read_pace`, if the last read was so short that it emptied the socket."""
        pace = self._parser.nc.read_pace
        if pace and size < DEFAULT_BUFFER_SIZE:
            self._read_or_not(self._transport.pause_reading)
            self._loop.call_later(pace, self._read_or_not, self._transport.resume_reading)

    def _read_or_not(self, change: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # uvloop's transport is closed, which nats-py will notice soon
            change()

    def eof_received(self) -> bool | None:
        """Pass on that the server ended the connection."""
        return bool(self._reader.eof_received())

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on that the connection is closed."""
        self._reader.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass on that the transport's buffer is full."""
        self._reader.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that the transport's buffer has room again."""
        self._reader.resume_writing()


async def _never(_: Any) -> None:
    raise AssertionError("nats-py delivered a message of a direct subscription")
