"""Answers of `/api/modules`, each encoded once for all clients with the same grant.

An answer is shared for a second. A client that subscribes with the answer's `since` misses nothing after it. Bound of
unread answers: `MOST_BYTES`; overflow rule: share an answer for up to a minute, or refuse (`busy`); counter:
`seve_broadcaster_refused_requests_total{reason="busy"}`.
"""

from dataclasses import dataclass
from typing import Final

from seve_broadcaster.auth.grants import Grant
from seve_broadcaster.fanout.hub import Hub
from seve_broadcaster.websocket import http

FRESH_SECONDS: Final = 1.0
STALE_SECONDS: Final = 60.0
MOST_BYTES: Final = 64 << 20
"""Most bytes of answers that are being read, each counted once; a single answer may be longer."""


class Busy(Exception):
    """The unread answers of all clients have reached their bound."""


@dataclass(slots=True, eq=False)
class Answer:
    """An encoded answer. `encoded_at` is in seconds, monotonic; `readers` counts the clients that it is sent to."""

    body: bytes
    encoded_at: float
    readers: int = 0


class Answers:
    """The newest answer for each set of modules, and those that are being read."""

    def __init__(self, hub: Hub, most_bytes: int = MOST_BYTES) -> None:
        self._hub = hub
        self._most_bytes = most_bytes
        self._newest: dict[frozenset[str] | None, Answer] = {}
        self._read: set[Answer] = set()

    def take(self, grant: Grant, now: float, wall_micros: int) -> Answer:
        """Return an answer for a grant; the caller has to `release` it. Raises Busy."""
        full = sum(len(answer.body) for answer in self._read) >= self._most_bytes
        longest = STALE_SECONDS if full else FRESH_SECONDS
        for key, kept in list(self._newest.items()):
            if not kept.readers and now - kept.encoded_at >= FRESH_SECONDS:
                del self._newest[key]
        answer = self._newest.get(grant.modules)
        if answer is None or now - answer.encoded_at >= longest:
            if full:
                raise Busy
            answer = self._newest[grant.modules] = Answer(http.modules(self._hub, grant, wall_micros), now)
        answer.readers += 1
        self._read.add(answer)
        return answer

    def release(self, answer: Answer) -> None:
        """Note that a client has the whole answer, or is gone."""
        answer.readers -= 1
        if not answer.readers:
            self._read.discard(answer)
