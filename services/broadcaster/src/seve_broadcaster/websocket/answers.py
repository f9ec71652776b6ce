"""Answers of `/api/modules`, each encoded once for all who may see the same.

An answer is shared for a second; its `since` says how far it goes, so whoever subscribes with that misses nothing. What
clients hold without reading is bounded: beyond, an answer is shared for longer, or refused.
"""

from dataclasses import dataclass
from typing import Final

from seve_broadcaster.auth.grants import Grant
from seve_broadcaster.fanout.hub import Hub
from seve_broadcaster.websocket import http

FRESH_SECONDS: Final = 1.0
STALE_SECONDS: Final = 60.0
MOST_BYTES: Final = 64 << 20
"""Of answers that are being read, each counted once; a single one may be longer."""


class Busy(Exception):
    """Clients hold as many bytes of answers as they may."""


@dataclass(slots=True, eq=False)
class Answer:
    """An encoded answer, as of `made` (seconds, monotonic); `readers` are being sent it."""

    body: bytes
    made: float
    readers: int = 0


class Answers:
    """The newest answer for each set of modules, and those that are being read."""

    def __init__(self, hub: Hub, most_bytes: int = MOST_BYTES) -> None:
        self._hub = hub
        self._most_bytes = most_bytes
        self._newest: dict[frozenset[str] | None, Answer] = {}
        self._read: set[Answer] = set()

    def take(self, grant: Grant, now: float, wall_micros: int) -> Answer:
        """Return an answer for a grant, to be given back by `give_back`. Raises Busy."""
        full = sum(len(answer.body) for answer in self._read) >= self._most_bytes
        longest = STALE_SECONDS if full else FRESH_SECONDS
        for key, kept in list(self._newest.items()):
            if not kept.readers and now - kept.made >= FRESH_SECONDS:
                del self._newest[key]
        answer = self._newest.get(grant.modules)
        if answer is None or now - answer.made >= longest:
            if full:
                raise Busy
            answer = self._newest[grant.modules] = Answer(http.modules(self._hub, grant, wall_micros), now)
        answer.readers += 1
        self._read.add(answer)
        return answer

    def give_back(self, answer: Answer) -> None:
        """Note that a reader has the whole answer, or is gone."""
        answer.readers -= 1
        if not answer.readers:
            self._read.discard(answer)
