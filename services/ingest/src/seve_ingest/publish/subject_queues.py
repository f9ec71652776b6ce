"""Envelopes on their way to the journal: one NATS message a subject at a time, so that order holds through refusals and
resends; what arrives meanwhile travels together in the next. Decides what is sent when; sends nothing.

Queue: envelopes not yet held by JetStream. Bound: the session stops reading at `MAX_INFLIGHT` or
`MAX_INFLIGHT_BYTES`; overflow rule: block (the broker keeps what is not read); counters: `envelopes`, `size`.
"""

from collections.abc import Iterator
from typing import Final

import msgspec
from seve_schema.codec import MAX_BYTES, MAX_ENVELOPES, join

from seve_ingest.publish.deliveries import Delivery

FIRST_BACKOFF: Final = 0.25
LONGEST_BACKOFF: Final = 5.0


class Publish(msgspec.Struct, eq=False):
    """One NATS message until it is held: its number (also its reply's and its id's), and the deliveries it carries.
    `sent_at` (seconds, monotonic) is None while it has to be sent, `known_since` is when JetStream may first have seen
    its id; `ordered` says whether a lane waits for it, `tried` whether it was ever sent.
    """

    number: int
    subject: str
    data: bytes
    deliveries: list[Delivery]
    ordered: bool
    id: str
    sent_at: float | None = None
    known_since: float | None = None
    tried: bool = False


class _Lane:
    """What one subject has in flight and what waits behind it."""

    __slots__ = ("deliveries", "encoded", "flying")

    def __init__(self) -> None:
        self.flying = False
        self.encoded: list[bytes] = []
        self.deliveries: list[Delivery] = []


class Lanes:
    """All that is not held yet. The caller brings the time (seconds, monotonic) and the name that makes ids unique."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._number = 0
        self._lanes: dict[str, _Lane] = {}
        self._touched: dict[str, _Lane] = {}
        self._alone: list[Publish] = []
        self._flying: dict[int, Publish] = {}
        self._refused_at: float | None = None
        self._backoff = FIRST_BACKOFF
        self.refusal: str | None = None
        self.envelopes = 0
        self.size = 0

    def add(self, subject: str, encoded: bytes, delivery: Delivery) -> None:
        """Queue one envelope behind those of its subject."""
        lane = self._lanes.get(subject)
        if lane is None:
            lane = self._lanes[subject] = self._touched[subject] = _Lane()
        elif not lane.flying:
            self._touched[subject] = lane
        lane.encoded.append(encoded)
        lane.deliveries.append(delivery)
        self.envelopes += 1
        self.size += len(encoded)

    def add_alone(self, subject: str, data: bytes, delivery: Delivery, message_id: str | None) -> None:
        """Queue one message that needs no order and no company."""
        self.envelopes += 1
        self.size += len(data)
        self._alone.append(self._launch(subject, data, [delivery], ordered=False, message_id=message_id))

    def ready(self) -> Iterator[Publish]:
        """The messages that what was queued since the last call makes, for every subject that has none in flight."""
        alone, self._alone = self._alone, []
        touched, self._touched = self._touched, {}
        yield from alone
        for subject, lane in touched.items():
            if lane.encoded and not lane.flying:  # touched anew while this was read: the one before took all
                yield self._next(subject, lane)

    def held(self, number: int) -> tuple[Publish, Publish | None] | None:
        """JetStream holds message `number`: it, and the next of its subject; None for an ack that came before."""
        publish = self._flying.pop(number, None)
        if publish is None:
            return None
        self.refusal, self._refused_at, self._backoff = None, None, FIRST_BACKOFF
        self.envelopes -= len(publish.deliveries)
        self.size -= len(publish.data)
        if not publish.ordered:
            return publish, None
        lane = self._lanes[publish.subject]
        lane.flying = False
        if lane.encoded:
            return publish, self._next(publish.subject, lane)
        del self._lanes[publish.subject]
        return publish, None

    def refused(self, number: int, reason: str, now: float) -> None:
        """JetStream will not take message `number` for `reason`: until it takes one again, one at a time is tried."""
        publish = self._flying.get(number)
        if publish is not None:
            publish.sent_at = publish.known_since = None
            self.refusal = reason
            if self._refused_at is None:
                self._refused_at = now

    def unsent(self) -> None:
        """The connection is lost: whatever is in flight has to be sent again."""
        for publish in self._flying.values():
            publish.sent_at = None

    def due(self, now: float, timeout: float) -> list[Publish]:
        """What has to be sent, or sent again, at `now`: the oldest alone while the journal refuses, else all that is
        unsent or has waited `timeout` for its ack.
        """
        late = [
            publish for publish in self._flying.values() if publish.sent_at is None or now - publish.sent_at >= timeout
        ]
        if self._refused_at is None:
            return late
        if now - self._refused_at < self._backoff:
            return []
        self._refused_at, self._backoff = now, min(2 * self._backoff, LONGEST_BACKOFF)
        return late[:1]

    def may_send(self) -> bool:
        """Whether a new message is sent at once; otherwise `due` names it when its time comes."""
        return self._refused_at is None

    @property
    def in_flight(self) -> int:
        """NATS messages that wait for their ack."""
        return len(self._flying)

    def _next(self, subject: str, lane: _Lane) -> Publish:
        count = _fitting(lane.encoded)
        encoded, deliveries = lane.encoded[:count], lane.deliveries[:count]
        del lane.encoded[:count], lane.deliveries[:count]
        lane.flying = True
        data = join(encoded)
        self.size += len(data) - sum(map(len, encoded))
        return self._launch(subject, data, deliveries, ordered=True, message_id=None)

    def _launch(
        self, subject: str, data: bytes, deliveries: list[Delivery], *, ordered: bool, message_id: str | None
    ) -> Publish:
        self._number += 1
        name = message_id or f"{self._name}-{self._number}"
        publish = Publish(self._number, subject, data, deliveries, ordered, name)
        self._flying[self._number] = publish
        return publish


def _fitting(encoded: list[bytes]) -> int:
    """How many of the first envelopes fit one message; one at least."""
    size = 2
    for count, part in enumerate(encoded[:MAX_ENVELOPES]):
        size += len(part) + 1
        if size > MAX_BYTES:
            return max(count, 1)
    return min(len(encoded), MAX_ENVELOPES)
