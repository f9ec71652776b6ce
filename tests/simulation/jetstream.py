"""A model of nats-server with JetStream: streams, consumers, and what of them a kill leaves.

A stream is written before anything is acknowledged, so a kill takes no message that is in it. What consumers were told
is saved now and then: after a kill, acknowledgements since then are forgotten, and those messages are delivered again.
Consumers in memory are gone.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec
from nats.js.errors import APIError, NotFoundError
from seve_runtime.nats.direct import NatsMessage
from seve_runtime.nats.pull import PullRequest, parse_ack_subject
from seve_schema.times import format_time

from simulation.clock import VirtualLoop

OVERHEAD = 64
"""Bytes that a stored message costs beside subject and data."""

_pull = msgspec.json.Decoder(PullRequest).decode


class Stored(msgspec.Struct, frozen=True, gc=False):
    """A message of a stream."""

    sequence: int
    subject: str
    data: bytes
    headers: bytes
    stored_ns: int

    @property
    def size(self) -> int:
        return len(self.subject) + len(self.data) + OVERHEAD


class Stream:
    """`refuses` says whether a full stream refuses; else the oldest goes. `stored` is told of each new message."""

    def __init__(
        self, name: str, created: int, *, max_bytes: int = 1 << 40, refuses: bool = False, newest_only: bool = False
    ):
        self.name = name
        self.created = created
        self.max_bytes = max_bytes
        self.messages: dict[int, Stored] = {}
        self.first, self.last, self.size = 1, 0, 0
        self.consumers: dict[str, Consumer] = {}
        self._refuses = refuses
        self._newest_only = newest_only
        self._last_of: dict[str, int] = {}
        self._ids: dict[str, int] = {}

    def last_of(self, subject: str) -> int:
        """The sequence of the newest message of a subject; 0 where there is none."""
        sequence = self._last_of.get(subject, 0)
        return sequence if sequence in self.messages else 0

    def store(self, subject: str, data: bytes, headers: bytes, now_ns: int) -> tuple[int, Stored | None]:
        """Store a message, or know it by its id. Raises APIError."""
        said = NatsMessage("", "", b"", headers)
        identity = said.header("Nats-Msg-Id")
        if identity is not None and identity in self._ids:
            return self._ids[identity], None
        expected, last = said.header("Nats-Expected-Last-Subject-Sequence"), self.last_of(subject)
        if expected is not None and int(expected) != last:
            raise APIError(code=400, err_code=10071, description=f"wrong last sequence: {last}")
        stored = Stored(self.last + 1, subject, data, headers, now_ns)
        if self._refuses and self.size + stored.size > self.max_bytes:
            raise APIError(code=400, err_code=10077, description="maximum bytes exceeded")
        self.last = stored.sequence
        self.messages[self.last] = stored
        self.size += stored.size
        self._last_of[subject] = self.last
        if identity is not None:
            self._ids[identity] = self.last
        if self._newest_only and last:
            self.remove(last)
        for consumer in self.consumers.values():
            consumer.serve()
        return self.last, stored

    def remove(self, sequence: int) -> None:
        self.size -= self.messages.pop(sequence).size
        while self.first <= self.last and self.first not in self.messages:
            self.first += 1
        for consumer in self.consumers.values():
            consumer.pending.pop(sequence, None)

    def purge(self, before: int) -> list[int]:
        """Remove what lies before a sequence; return what was there."""
        gone = [sequence for sequence in self.messages if sequence < before]
        for sequence in gone:
            self.remove(sequence)
        self.first = max(self.first, min(before, self.last + 1))
        return gone


class Waiting(msgspec.Struct, eq=False):
    """A pull request that is open. `alive` says whether its connection still is."""

    inbox: str
    send: Callable[[str, str, bytes, bytes], None]
    alive: Callable[[], bool]
    left: int
    left_bytes: int | None
    no_wait: bool
    heartbeat: float
    timers: list[asyncio.TimerHandle]


class Consumer:
    """A consumer: `pending` are deadlines of what is delivered and not acknowledged."""

    def __init__(self, loop: VirtualLoop, stream: Stream, name: str, *, start: int, explicit: bool, ack_wait: float):
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self.stream = stream
        self.name = name
        self.explicit = explicit
        self.ack_wait = ack_wait
        self.next = start
        self.pending: dict[int, float] = {}
        self.redeliver: deque[int] = deque()
        self.delivered: dict[int, int] = {}
        self.waiting: deque[Waiting] = deque()
        self.acknowledged: Callable[[int], None] = lambda _: None

    @property
    def floor(self) -> int:
        """All up to this sequence is acknowledged."""
        return min(self.pending, default=self.next) - 1

    @property
    def unread(self) -> int:
        """How many messages were not delivered yet."""
        stream = self.stream
        if len(stream.messages) == stream.last - stream.first + 1:
            return max(0, stream.last - max(self.next, stream.first) + 1)
        return sum(sequence >= self.next for sequence in stream.messages)

    def saved(self) -> tuple[int, dict[int, float], dict[int, int]]:
        return self.next, dict(self.pending), dict(self.delivered)

    def restore(self, saved: tuple[int, dict[int, float], dict[int, int]]) -> None:
        """Go back to what was saved before a kill: messages acknowledged since then are delivered again."""
        self.next, pending, delivered = saved
        self.pending = {
            sequence: deadline for sequence, deadline in pending.items() if sequence in self.stream.messages
        }
        self.delivered = dict(delivered)
        self.redeliver.clear()
        self.close()
        self._arm()

    def close(self) -> None:
        for request in self.waiting:
            _stop(request)
        self.waiting.clear()

    def delete(self) -> None:
        while self.waiting:
            self._end(self.waiting[0], "409 Consumer Deleted")
        self.pending.clear()

    def ask(self, request: Waiting, expires: float) -> None:
        if expires:
            request.timers.append(self._loop.call_later(expires, self._end, request, "408 Request Timeout"))
        if request.heartbeat:
            request.timers.append(self._loop.call_later(request.heartbeat, self._beat, request))
        self.waiting.append(request)
        self.serve()

    def acknowledge(self, sequence: int, word: bytes) -> None:
        if sequence not in self.pending:
            return
        if word == b"+WPI":
            self.pending[sequence] = self._loop.time() + self.ack_wait
        elif word == b"-NAK":
            if sequence not in self.redeliver:
                self.redeliver.append(sequence)
            self.serve()
        else:
            del self.pending[sequence]
            self.acknowledged(sequence)

    def serve(self) -> None:
        """Deliver as much as is asked for."""
        while self.waiting:
            request = self.waiting[0]
            if not request.alive():
                _stop(self.waiting.popleft())
                continue
            message = self._peek()
            if message is None:
                if not request.no_wait:
                    return
                self._end(request, "404 No Messages")
            elif request.left_bytes is not None and message.size > request.left_bytes:
                self._end(request, "409 Message Size Exceeds MaxBytes")
            else:
                self._deliver(request, message)

    def _peek(self) -> Stored | None:
        while self.redeliver:
            if self.redeliver[0] in self.pending:
                return self.stream.messages[self.redeliver[0]]
            self.redeliver.popleft()
        self.next = max(self.next, self.stream.first)
        while self.next <= self.stream.last:
            if message := self.stream.messages.get(self.next):
                return message
            self.next += 1
        return None

    def _deliver(self, request: Waiting, message: Stored) -> None:
        sequence = message.sequence
        if self.redeliver and self.redeliver[0] == sequence:
            self.redeliver.popleft()
        else:
            self.next = sequence + 1
        count = 1
        if self.explicit:
            count = self.delivered[sequence] = self.delivered.get(sequence, 0) + 1
            self.pending[sequence] = self._loop.time() + self.ack_wait
            self._arm()
        reply = f"$JS.ACK.{self.stream.name}.{self.name}.{count}.{sequence}.1.{message.stored_ns}.{self.unread}"
        request.send(message.subject, reply, message.data, b"")
        request.left -= 1
        if request.left_bytes is not None:
            request.left_bytes -= message.size
        if request.left:
            self.waiting.rotate(-1)
        else:
            self.waiting.popleft()
            _stop(request)

    def _end(self, request: Waiting, status: str) -> None:
        if request in self.waiting:
            self.waiting.remove(request)
            _stop(request)
            headers = f"NATS/1.0 {status}\r\nNats-Pending-Messages: {request.left}\r\n\r\n".encode()
            request.send(request.inbox, "", b"", headers)

    def _beat(self, request: Waiting) -> None:
        if request in self.waiting and request.alive():
            request.send(request.inbox, "", b"", b"NATS/1.0 100 Idle Heartbeat\r\n\r\n")
            request.timers[-1] = self._loop.call_later(request.heartbeat, self._beat, request)

    def _arm(self) -> None:
        if self._timer is None and self.pending:
            self._timer = self._loop.call_at(min(self.pending.values()), self._late)

    def _late(self) -> None:
        self._timer = None
        now = self._loop.time()
        for sequence, deadline in self.pending.items():
            if deadline <= now:
                self.pending[sequence] = now + self.ack_wait
                if sequence not in self.redeliver:
                    self.redeliver.append(sequence)
        self._arm()
        self.serve()


def _stop(request: Waiting) -> None:
    for timer in request.timers:
        timer.cancel()


class Server:
    """One nats-server. `watch` is told of what is stored and purged."""

    def __init__(self, loop: VirtualLoop, rng: Random) -> None:
        self._loop = loop
        self._rng = rng
        self._number = 0
        self._saved: dict[tuple[str, str], Any] = {}
        self.alive = True
        self.streams: dict[str, Stream] = {}
        self.on_stored: Callable[[Stream, Stored], None] = lambda *_: None
        self.on_purged: Callable[[Stream, list[int]], None] = lambda *_: None

    # what lasts, and what does not

    def save(self) -> None:
        """Write down what the durable consumers were told so far."""
        for stream in self.streams.values():
            for consumer in stream.consumers.values():
                if consumer.explicit:
                    self._saved[stream.name, consumer.name] = consumer.saved()

    def kill(self) -> None:
        self.alive = False
        for stream in self.streams.values():
            for name, consumer in list(stream.consumers.items()):
                consumer.close()
                if not consumer.explicit:
                    del stream.consumers[name]
                elif self._rng.random() < 0.5:
                    consumer.restore(self._saved.get((stream.name, name), (1, {}, {})))

    def start(self) -> None:
        self.alive = True

    # what clients ask

    def add_consumer(self, stream: Stream, **options: Any) -> Consumer:
        self._number += 1
        consumer = Consumer(self._loop, stream, options.pop("name", f"c{self._number}"), **options)
        stream.consumers[consumer.name] = consumer
        return consumer

    def delete(self, name: str) -> None:
        """Delete a stream, its consumers, and what they were asked."""
        stream = self.streams.pop(name)
        for consumer in stream.consumers.values():
            consumer.delete()
            self._saved.pop((name, consumer.name), None)

    def stream(self, name: str) -> Stream:
        """Raises NotFoundError."""
        if name not in self.streams:
            raise NotFoundError(code=404, err_code=10059, description="stream not found")
        return self.streams[name]

    def stream_of(self, subject: str) -> Stream | None:
        kind = subject.partition(".")[0]
        name = {"telemetry": "TELEMETRY", "latest": "LATEST", "deadletter": "DEADLETTER"}.get(kind)
        return self.streams.get(name) if name else None

    def publish(self, subject: str, data: bytes, headers: bytes) -> int:
        """Store a message, and return its sequence. Raises APIError."""
        stream = self.stream_of(subject)
        if stream is None:
            raise APIError(code=503, err_code=0, description="no stream takes the subject")
        sequence, stored = stream.store(subject, data, headers, self._loop.micros() * 1000)
        if stored is not None:
            self.on_stored(stream, stored)
        return sequence

    def purge(self, name: str, before: int) -> None:
        stream = self.stream(name)
        self.on_purged(stream, stream.purge(before))

    def acknowledge(self, subject: str, word: bytes) -> None:
        _, _, name, consumer, *_ = subject.split(".")
        if name in self.streams and consumer in self.streams[name].consumers:
            self.streams[name].consumers[consumer].acknowledge(parse_ack_subject(subject).sequence, word)

    def ask(self, subject: str, data: bytes, inbox: str, send: Callable[..., None], alive: Callable[[], bool]) -> None:
        """A pull request."""
        *_, name, consumer_name = subject.split(".")
        consumer = self.streams[name].consumers.get(consumer_name) if name in self.streams else None
        if consumer is None:
            send(inbox, "", b"", b"NATS/1.0 503\r\n\r\n")
            return
        asked = _pull(data)
        most = asked.max_bytes or None
        request = Waiting(inbox, send, alive, asked.batch, most, asked.no_wait, asked.idle_heartbeat / 1e9, [])
        consumer.ask(request, asked.expires / 1e9)

    def info(self, name: str) -> bytes:
        """What STREAM.INFO answers."""
        if name not in self.streams:
            return msgspec.json.encode({"error": {"description": "stream not found"}})
        stream = self.streams[name]
        first = stream.messages.get(stream.first)
        state = {
            "messages": len(stream.messages),
            "first_seq": stream.first,
            "last_seq": stream.last,
            "first_ts": format_time(first.stored_ns // 1000 if first else stream.created),
            "bytes": stream.size,
        }
        return msgspec.json.encode({"created": format_time(stream.created), "state": state})
