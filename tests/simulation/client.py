"""A NATS client as the services use it (`DirectClient` and its JetStream context), over a link to the model server.

While it is disconnected, it keeps what is published and sends it over the next connection, as nats-py does.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from types import SimpleNamespace
from typing import Any

import msgspec
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.errors import APIError, NotFoundError
from seve_runtime.nats.direct import Handler, NatsMessage
from seve_schema.times import MICROS

from simulation.clock import VirtualLoop
from simulation.jetstream import Server
from simulation.link import Link
from simulation.stream import Stored

PATIENCE = 5.0
"""Seconds that nats-py waits for an answer of JetStream."""


class Subscription:
    """A direct subscription."""

    def __init__(self, client: "Client", subject: str) -> None:
        self._client = client
        self._subject = subject

    async def unsubscribe(self) -> None:
        self._client.handlers.pop(self._subject, None)


class Client:
    """One process's connection to NATS."""

    max_payload = 1 << 20

    def __init__(self, loop: VirtualLoop, rng: Random, server: Server, name: str) -> None:
        self._loop = loop
        self._rng = rng
        self._server = server
        self._inboxes = 0
        self._name = name
        self._outbox: list[tuple[str, bytes, str, bytes]] = []
        self._connected = asyncio.Event()
        self.handlers: dict[str, Handler] = {}
        self.link = Link(loop, rng)
        self.dead = False
        self.is_connected = False
        self.reachable = True
        self.stats = {"reconnects": 0}

    # the connection

    async def connect(self) -> None:
        """Connect, and again whenever the connection is lost."""
        self._open()
        if not self.is_connected:
            self._retry()
            await self._connected.wait()

    def _open(self) -> None:
        if self._server.alive and self.reachable and not self.dead:
            self.link.open()
            self.is_connected = True
            self._connected.set()

    def _retry(self) -> None:
        self._loop.call_later(0.1 + self._rng.random(), self._try_again)

    def _try_again(self) -> None:
        if self.dead or self.is_connected:
            return
        self._open()
        if not self.is_connected:
            self._retry()
            return
        self.stats["reconnects"] += 1
        waiting, self._outbox = self._outbox, []
        for each in waiting:
            self.publish_direct(*each)

    def cut(self, unnoticed: float = 0.0) -> None:
        """Break the connection; the client hears of it so many seconds later."""
        if not self.link.up:
            return
        self.link.cut()
        self._loop.call_later(unnoticed, self._lost, self.link.generation)

    def _lost(self, generation: int) -> None:
        if generation == self.link.generation and not self.dead:
            self.is_connected = False
            self._retry()

    def kill(self) -> None:
        """End with the process: what was sent may still arrive, nothing is received any more."""
        self.dead = True
        self.is_connected = False
        self.handlers.clear()

    # what services use

    def new_inbox(self) -> str:
        self._inboxes += 1
        return f"_INBOX_{self._name}_{self._inboxes}"

    async def subscribe_direct(self, subject: str, handler: Handler) -> Subscription:
        self.handlers[subject] = handler
        return Subscription(self, subject)

    def publish_direct(self, subject: str, data: bytes, reply: str = "", headers: bytes = b"") -> None:
        if self.dead:
            return
        if not self.is_connected:
            self._outbox.append((subject, data, reply, headers))
            return
        self.link.there(self._arrived, subject, data, reply, headers, self.link.generation)

    def _arrived(self, subject: str, data: bytes, reply: str, headers: bytes, generation: int) -> None:
        """At the server."""
        server = self._server
        if not server.alive:
            return
        if subject.startswith("$JS.ACK."):
            server.acknowledge(subject, data)
        elif subject.startswith("$JS.API.CONSUMER.MSG.NEXT."):
            server.ask(subject, data, reply, self._answerer(reply), lambda: self._alive(generation))
        else:
            self._publish(subject, data, reply, headers)

    def _publish(self, subject: str, data: bytes, reply: str, headers: bytes) -> None:
        if self._server.stream_of(subject) is None:
            self._answer(reply, "", b"", b"NATS/1.0 503\r\n\r\n")
            return
        try:
            answer: dict[str, Any] = {"seq": self._server.publish(subject, data, headers)}
        except APIError as error:
            answer = {"error": {"err_code": error.err_code, "description": error.description}}
        if reply:
            self._answer(reply, "", msgspec.json.encode(answer), b"")

    def _alive(self, generation: int) -> bool:
        return not self.dead and self.link.up and self.link.generation == generation

    def _answerer(self, inbox: str) -> Callable[[str, str, bytes, bytes], None]:
        """What sends to an inbox: messages of a stream come there under their own subject."""

        def send(subject: str, reply: str, data: bytes, headers: bytes) -> None:
            self.link.back(self._receive, inbox, NatsMessage(subject, reply, data, headers))

        return send

    def _answer(self, subject: str, reply: str, data: bytes, headers: bytes) -> None:
        self.link.back(self._receive, subject, NatsMessage(subject, reply, data, headers))

    def _receive(self, inbox: str, message: NatsMessage) -> None:
        if self.dead:
            return
        handler = self.handlers.get(inbox) or self.handlers.get(inbox.rpartition(".")[0] + ".*")
        if handler is not None:
            handler(message)

    async def call(self, work: Callable[[], Any], patience: float = PATIENCE) -> Any:
        """Have the server do something, and return its answer. Raises what it raises, and nats' TimeoutError."""
        answered: asyncio.Future = self._loop.create_future()

        def at_server() -> None:
            if not self._server.alive:
                return
            try:
                result = work()
            except (APIError, NotFoundError) as error:
                self.link.back(_unless_done, answered, answered.set_exception, error)
            else:
                self.link.back(_unless_done, answered, answered.set_result, result)

        self.link.there(at_server)
        late = self._loop.call_later(patience, _unless_done, answered, answered.set_exception, NatsTimeoutError())
        try:
            return await answered
        finally:
            late.cancel()

    async def request(self, subject: str, _data: bytes, timeout: float = PATIENCE) -> Any:  # noqa: ASYNC109
        *_, name = subject.split(".")
        return SimpleNamespace(data=await self.call(lambda: self._server.info(name), timeout))

    def jetstream(self) -> "JetStream":
        return JetStream(self, self._server)


def _unless_done(answered: asyncio.Future, settle: Callable[[Any], None], with_what: Any) -> None:
    if not answered.done():
        settle(with_what)


class JetStream:
    """nats-py's JetStream context, as far as the services use it."""

    def __init__(self, client: Client, server: Server) -> None:
        self._client = client
        self._server = server

    async def publish(self, subject: str, data: bytes, headers: dict[str, str] | None = None) -> Any:
        lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        block = f"NATS/1.0\r\n{lines}\r\n".encode()
        return SimpleNamespace(seq=await self._client.call(lambda: self._server.publish(subject, data, block)))

    async def stream_info(self, name: str) -> Any:
        def look() -> Any:
            stream = self._server.stream(name)
            state = SimpleNamespace(first_seq=stream.first, last_seq=stream.last, messages=len(stream.messages))
            return SimpleNamespace(created=datetime.fromtimestamp(stream.created / MICROS, UTC), state=state)

        return await self._client.call(look)

    async def consumer_info(self, name: str, consumer_name: str) -> Any:
        def look() -> Any:
            consumer = self._server.stream(name).consumers[consumer_name]
            return SimpleNamespace(
                config=SimpleNamespace(ack_wait=consumer.ack_wait),
                num_pending=consumer.unread,
                num_ack_pending=len(consumer.pending),
                ack_floor=SimpleNamespace(stream_seq=consumer.floor),
            )

        return await self._client.call(look)

    async def add_consumer(self, name: str, config: Any) -> Any:
        def add() -> Any:
            stream = self._server.stream(name)
            consumer = self._server.add_consumer(stream, start=config.opt_start_seq, explicit=False, ack_wait=30.0)
            return SimpleNamespace(name=consumer.name, num_pending=consumer.unread)

        return await self._client.call(add)

    async def delete_consumer(self, name: str, consumer_name: str) -> None:
        await self._client.call(lambda: self._server.stream(name).consumers.pop(consumer_name, None) and None)

    async def get_last_msg(self, name: str, subject: str) -> Any:
        return await self._client.call(lambda: _raw(self._find(name, subject=subject)))

    async def get_msg(self, name: str, seq: int | None = None, *, subject: str = "", next: bool = False) -> Any:  # noqa: A002
        return await self._client.call(lambda: _raw(self._find(name, seq, None if next else subject)))

    async def purge_stream(self, name: str, seq: int) -> None:
        await self._client.call(lambda: self._server.purge(name, seq))

    def _find(self, name: str, sequence: int | None = None, subject: str | None = None) -> Stored:
        stream = self._server.stream(name)
        if sequence is not None:
            found = next((each for number, each in stream.messages.items() if number >= sequence), None)
        else:
            found = stream.messages.get(stream.last_of(subject or ""))
        if found is None:
            raise NotFoundError(code=404, err_code=10037, description="no message found")
        return found


def _raw(stored: Stored) -> Any:
    lines = stored.headers.decode().split("\r\n")[1:]
    headers = dict(line.split(": ", 1) for line in lines if ": " in line)
    time = datetime.fromtimestamp(stored.stored_ns / 1e9, UTC)
    return SimpleNamespace(headers=headers, seq=stored.sequence, data=stored.data, time=time)
