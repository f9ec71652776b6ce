"""Receives and publishes NATS messages without nats-py's queues, for subscriptions at the pipeline's rate.

For each received message nats-py creates a dictionary of headers, an object, a queue entry and a turn of a task; for
each published one it builds the header block again. Here a message goes from the socket's bytes to its handler, and
from the publisher to the next write. Connecting, authentication, TLS, reconnecting, requests and all other
subscriptions stay with nats-py. Only this file uses its private names (decision 0801).
"""

import asyncio
from collections.abc import Awaitable, Callable
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


class NatsMessage(msgspec.Struct, gc=False):
    """A message as it arrived. `headers` is the whole block, beginning with `NATS/1.0`; empty if there is none."""

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
        """Return code and description of a status message of the server; both empty for a published message."""
        _, _, status = self.headers[: self.headers.find(CRLF)].decode().partition(" ")
        code, _, description = status.partition(" ")
        return code, description


Handler = Callable[[NatsMessage], Awaitable[None]]
"""Handles one message. The next is read after it returns, so it must not wait for an answer on its own connection."""


class DirectClient(Client):
    """nats-py's client with direct subscriptions and publishes.

    With `read_pace` (seconds) it reads at most that often while little comes, and so wakes up once for many messages.
    Everything that it receives may be late by so much.
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

        If nothing else waits, the command goes to the transport at once: nats-py's flusher costs a turn of a task.
        Never blocks: the caller has to bound what it has in flight. Raises as nats-py's `publish`.
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
            with suppress(RuntimeError):  # uvloop's transport was closed, and nats-py does not know it yet
                self._transport.write(command)  # type: ignore[union-attr]  # not None while it is connected
                return
        self._pending.append(command)
        self._pending_data_size += len(command)
        if connected and self._flush_queue is not None and self._flush_queue.empty():
            self._flush_queue.put_nowait(asyncio.get_running_loop().create_future())


class _DirectParser(Parser):
    """Parses messages of direct subscriptions; passes every other line to nats-py. `handlers` are by subscription."""

    def __init__(self, client: DirectClient, handlers: dict[bytes, Handler]) -> None:
        self._handlers = handlers
        super().__init__(client)

    def reset(self) -> None:
        """Begin with a new connection."""
        super().reset()
        self._parts: list[bytes] = []
        self._lacking = 0

    async def parse(self, data: bytes = b"") -> None:
        """Handle the messages that `data` completes. Raises ProtocolError."""
        self._parts.append(data)
        self._lacking -= len(data)
        if self._lacking <= 0:
            whole = b"".join(self._parts)
            rest, self._lacking = await self._consume(whole)
            self._parts = [whole[rest:]]
        if self.nc.read_pace and len(data) < DEFAULT_BUFFER_SIZE:
            await self._pace()

    async def _pace(self) -> None:
        """Leave what comes to the socket for a while. Nothing is held back in the stream reader: the last read was
        shorter than it might have been.
        """
        transport = self.nc._transport._io_writer.transport  # noqa: SLF001
        with suppress(RuntimeError):  # uvloop's transport was closed, which the next read will find
            transport.pause_reading()
            await asyncio.sleep(self.nc.read_pace)
            transport.resume_reading()

    async def _consume(self, data: bytes) -> tuple[int, int]:
        """Return the offset at which the incomplete rest begins, and how many bytes it lacks at least."""
        at = 0
        while (end := data.find(CRLF, at)) >= 0:
            line = data[at:end]
            if not line.startswith((b"MSG ", b"HMSG ")):
                await self._other(data[at : end + 2])
                at = end + 2
                continue
            words = line.split()
            try:
                size = int(words[-1])
                head = int(words.pop(-2)) if line[0] == ord("H") else 0
                subject, number, reply = words[1], words[2], words[3] if len(words) == 5 else b""
            except (ValueError, IndexError) as error:
                raise ProtocolError("nats: malformed MSG") from error
            body = end + 2
            if len(data) < body + size + 2:
                return at, body + size + 2 - len(data)
            await self._message(number, subject, reply, data[body + head : body + size], data[body : body + head])
            at = body + size + 2
        return at, 0

    async def _message(self, number: bytes, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        handler = self._handlers.get(number)
        if handler is None:
            await self.nc._process_msg(int(number), subject, reply, data, headers or None)  # noqa: SLF001
            return
        try:
            await handler(NatsMessage(subject.decode(), reply.decode(), data, headers))
        except Exception as error:  # as nats-py treats its callbacks: report it, continue with the next message
            await self.nc._error_cb(error)  # noqa: SLF001

    async def _other(self, line: bytes) -> None:
        await super().parse(line)
        if self.buf:
            raise ProtocolError("nats: unknown protocol")


async def _never(_: Any) -> None:
    raise AssertionError("nats-py delivered a message of a direct subscription")
