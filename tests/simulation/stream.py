"""A model of a stream of JetStream: what is stored stays until it is removed. Knows no connection and no time."""

from typing import TYPE_CHECKING

import msgspec
from nats.js.errors import APIError
from seve_runtime.nats.direct import NatsMessage

if TYPE_CHECKING:
    from simulation.consumer import Consumer

OVERHEAD = 64
"""Bytes that a stored message costs beside subject and data."""


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
