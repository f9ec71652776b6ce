"""A model of a consumer of JetStream: it delivers what is asked for, and again what was not acknowledged in time."""

import asyncio
from collections import deque
from collections.abc import Callable

import msgspec

from simulation.clock import VirtualLoop
from simulation.stream import Stored, Stream


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
