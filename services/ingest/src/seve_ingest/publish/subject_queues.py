"""Queues envelopes for the journal. Each subject has at most one NATS message in flight, so that its order survives
refusals and resends; envelopes that arrive meanwhile share the next message. Decides what is sent when; sends nothing.

Queue: envelopes that JetStream does not hold yet. Bound: the session stops reading at `MAX_INFLIGHT` or
`MAX_INFLIGHT_BYTES`; overflow rule: block (the broker keeps unread messages); counters: `envelopes`, `size`.
"""

from collections.abc import Callable, Iterable
from typing import Final

import msgspec
from seve_runtime.backoff import backoff
from seve_schema.codec import MAX_BYTES, MAX_ENVELOPES, join, split

from seve_ingest.publish.deliveries import Delivery

FIRST_BACKOFF: Final = 0.25
LONGEST_BACKOFF: Final = 5.0

DEADLETTER_PATIENCE: Final = 30.0
"""Seconds without a single accepted dead letter after which dead letters are dropped, if the journal accepts
messages.
"""
LAST_CHANCE: Final = 1.0
"""Seconds that each further dead letter is waited for, until one is accepted again."""


class Publish(msgspec.Struct, eq=False):
    """One NATS message until JetStream holds it: its number (also in its reply subject), its id, and the deliveries
    that its envelopes belong to. `queue` is the queue of its subject, None for a dead letter, which needs no order.
    `sent_at` (seconds, monotonic) is None while the message has to be sent; `attempts` counts how often it was sent,
    first at `first_sent_at`.
    """

    number: int
    subject: str
    data: bytes
    deliveries: list[Delivery]
    id: str
    queue: "_SubjectQueue | None" = None
    sent_at: float | None = None
    first_sent_at: float = 0.0
    attempts: int = 0

    @property
    def expected(self) -> int:
        """The sequence of this subject's last message in the journal, or 0 if it is unknown."""
        return 0 if self.queue is None else self.queue.last_sequence or 0


class _SubjectQueue:
    """One subject's message in flight, the envelopes that wait behind it, and the subject's last known sequence."""

    __slots__ = ("deliveries", "encoded", "in_flight", "last_sequence", "subject")

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.in_flight = False
        self.last_sequence: int | None = None
        self.encoded: list[bytes] = []
        self.deliveries: list[Delivery] = []


class SubjectQueues:
    """All messages that JetStream does not hold yet. The caller passes the time (seconds, monotonic); `name` makes ids
    unique.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._number = 0
        self._queues: dict[str, _SubjectQueue] = {}
        self._ready: list[_SubjectQueue] = []
        self._alone: list[Publish] = []
        self._in_flight: dict[int, Publish] = {}
        self._refused_at: float | None = None
        self._retries = 0
        self._last_held = 0
        self._stuck_since: float | None = None
        self.refusal: str | None = None
        self.envelopes = 0
        self.size = 0

    def add(self, subject: str, encoded: bytes, delivery: Delivery) -> None:
        """Queue one envelope behind those of its subject."""
        self.add_all(subject, [encoded], [delivery])

    def add_all(self, subject: str, encoded: list[bytes], deliveries: list[Delivery]) -> None:
        """Queue envelopes, one for each delivery, behind those of their subject."""
        queue = self._queues.get(subject)
        if queue is None:
            queue = self._queues[subject] = _SubjectQueue(subject)
        if not queue.encoded and not queue.in_flight:
            self._ready.append(queue)
        queue.encoded += encoded
        queue.deliveries += deliveries
        self.envelopes += len(encoded)
        self.size += sum(map(len, encoded))

    def add_alone(self, subject: str, data: bytes, delivery: Delivery, message_id: str | None) -> None:
        """Queue a message that needs no order and is sent alone."""
        self.envelopes += 1
        self.size += len(data)
        self._alone.append(self._launch(subject, data, [delivery], None, message_id))

    def ready(self) -> list[Publish]:
        """Return the new messages of every subject that has none in flight."""
        publishes, self._alone = self._alone, []
        queues, self._ready = self._ready, []
        publishes += [self._next(queue) for queue in queues]
        return publishes

    def get(self, number: int) -> Publish | None:
        """Return a message in flight; None if JetStream holds it already."""
        return self._in_flight.get(number)

    def held(self, number: int, sequence: int) -> Publish | None:
        """Note that JetStream holds message `number` as `sequence`; return the message, or None if that was known."""
        publish = self._in_flight.pop(number, None)
        if publish is None:
            return None
        self.refusal, self._refused_at, self._retries = None, None, 0
        self.envelopes -= len(publish.deliveries)
        self.size -= len(publish.data)
        queue = publish.queue
        if queue is None:
            self._stuck_since = None
        else:
            self._last_held = max(self._last_held, number)
            queue.last_sequence = sequence
            queue.in_flight = False
            if queue.encoded:
                self._ready.append(queue)
        return publish

    def expect(self, publish: Publish, sequence: int) -> bool:
        """Mark a message to be sent again behind `sequence`. Return whether another publisher must have written that
        sequence.
        """
        publish.sent_at = None
        queue = publish.queue
        if queue is None:
            return False
        known, queue.last_sequence = queue.last_sequence, sequence
        return known is not None and sequence > known

    def discard(self, publish: Publish, known: Callable[[bytes], bool]) -> list[Delivery]:
        """Remove the envelopes that are `known` from a message in flight and from the envelopes behind it; return the
        delivery of each. The caller must not send a message that has none left.
        """
        parts, publish.deliveries, gone = _without(split(publish.data), publish.deliveries, known)
        before, publish.data = len(publish.data), join(parts)
        self.size += len(publish.data) - before
        if (queue := publish.queue) is not None:
            before = sum(map(len, queue.encoded))
            queue.encoded, queue.deliveries, waiting = _without(queue.encoded, queue.deliveries, known)
            self.size += sum(map(len, queue.encoded)) - before
            gone += waiting
        self.envelopes -= len(gone)
        return gone

    def refused(self, number: int, reason: str, now: float) -> None:
        """Note that JetStream refused message `number`: it is sent again after a backoff, and all others wait. For a
        dead letter, a refusal counts like a missing ack, and nothing waits.
        """
        publish = self._in_flight.get(number)
        if publish is not None and publish.queue is not None:
            publish.sent_at = None
            self.refusal = reason
            if self._refused_at is None:
                self._refused_at = now

    def unsent(self) -> None:
        """Note a lost connection: all messages in flight have to be sent again."""
        for publish in self._in_flight.values():
            publish.sent_at = None

    def due(self, now: float, timeout: float) -> list[Publish]:
        """Return the messages to send, or to send again, at `now`: all that are unsent or have waited `timeout` for
        their ack; while the journal refuses messages, only the oldest of these (dead letters last).
        """
        late = [each for each in self._in_flight.values() if each.sent_at is None or now - each.sent_at >= timeout]
        if self._refused_at is None:
            return late
        if now - self._refused_at < backoff(self._retries + 1, first=FIRST_BACKOFF, longest=LONGEST_BACKOFF):
            return []
        self._refused_at, self._retries = now, self._retries + 1
        return sorted(late, key=lambda publish: publish.queue is None)[:1]

    def give_up(self, now: float) -> list[Publish]:
        """Remove and return dead letters that their stream does not accept although the journal accepts later messages:
        MQTT acknowledges in order, so they would hold back every other message.
        """
        sent = [each for each in self._in_flight.values() if each.queue is None and each.attempts]
        if sent and self._stuck_since is None:
            self._stuck_since = sent[0].first_sent_at
        if self._stuck_since is None or now - self._stuck_since < DEADLETTER_PATIENCE:
            return []
        late = [each for each in sent if each.number < self._last_held and now - each.first_sent_at >= LAST_CHANCE]
        for publish in late:
            del self._in_flight[publish.number]
            self.envelopes -= len(publish.deliveries)
            self.size -= len(publish.data)
        return late

    @property
    def may_send(self) -> bool:
        """Whether a new message may be sent at once; otherwise `due` returns it later."""
        return self._refused_at is None

    @property
    def in_flight(self) -> int:
        """The number of NATS messages without an ack."""
        return len(self._in_flight)

    def _next(self, queue: _SubjectQueue) -> Publish:
        count = _fitting(queue.encoded)
        encoded, deliveries = queue.encoded[:count], queue.deliveries[:count]
        del queue.encoded[:count], queue.deliveries[:count]
        queue.in_flight = True
        data = join(encoded)
        self.size += count + 1  # `join` adds two brackets, and a comma between two envelopes
        return self._launch(queue.subject, data, deliveries, queue, None)

    def _launch(
        self,
        subject: str,
        data: bytes,
        deliveries: list[Delivery],
        queue: _SubjectQueue | None,
        message_id: str | None,
    ) -> Publish:
        self._number += 1
        name = message_id or f"{self._name}-{self._number}"
        publish = Publish(self._number, subject, data, deliveries, name, queue)
        self._in_flight[self._number] = publish
        return publish


def _without(
    parts: Iterable[bytes | msgspec.Raw], deliveries: list[Delivery], known: Callable[[bytes], bool]
) -> tuple[list[bytes], list[Delivery], list[Delivery]]:
    """Return the envelopes that are not `known`, their deliveries, and the deliveries of the known ones."""
    judged = [(bytes(part), delivery) for part, delivery in zip(parts, deliveries, strict=True)]
    kept = [each for each in judged if not known(each[0])]
    gone = [delivery for part, delivery in judged if known(part)]
    return [part for part, _ in kept], [delivery for _, delivery in kept], gone


def _fitting(encoded: list[bytes]) -> int:
    """Return how many of the first envelopes fit into one message, at least one."""
    size = 1  # two brackets, minus the comma that the loop counts too many
    for count, part in enumerate(encoded[:MAX_ENVELOPES]):
        size += len(part) + 1
        if size > MAX_BYTES:
            return max(count, 1)
    return min(len(encoded), MAX_ENVELOPES)
