"""What one read brought, turned into envelopes on their way and counted; and what JetStream holds, turned into
acknowledgements. The meeting point of the pure parts: it reads no socket and sends nothing.
"""

import time
from collections.abc import Callable
from typing import Final

import structlog
from seve_schema.envelope import Envelope
from seve_schema.subjects import deadletter_subject
from seve_schema.times import MICROS

from seve_ingest import metrics
from seve_ingest.deadletters.build import Allowance, letter
from seve_ingest.mqtt.framing import DUP, QOS, RETAIN, Arrival
from seve_ingest.normalise.normaliser import Normaliser, Rejection, Verdict
from seve_ingest.publish.deliveries import Delivery, Keys, Outcome, Queue, Seen
from seve_ingest.publish.subject_queues import Lanes, Publish

RESUME_BELOW: Final = 0.75
"""Reading goes on when less than this share of what stopped it is left."""

log = structlog.get_logger()

DROPPED: Final = b"$SYS/broker/publish/messages/dropped"
"""Where Mosquitto tells how many messages it dropped."""

MAX_DIGITS: Final = 15
"""Longest count of dropped messages that is believed: the topic may be forged, and a gauge holds no more exactly."""

MAX_ENVELOPE_BYTES: Final = 900 * 1024
"""Largest envelope that is published: NATS takes 1 MiB by default, headers and all."""


_DUPLICATE: Final[Outcome] = ("duplicate", "")


def wall_clock() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


class Intake:
    """Messages of one session, over all its connections; `connection` numbers the current one."""

    def __init__(
        self,
        normaliser: Normaliser,
        lanes: Lanes,
        keys: Keys,
        seen: Seen,
        *,
        max_inflight: int,
        max_bytes: int,
        clock: Callable[[], int] = wall_clock,
    ) -> None:
        self._normalise = normaliser
        self._keys = keys
        self._seen = seen
        self._clock = clock
        self._last = 0
        self._max_inflight = max_inflight
        self._max_bytes = max_bytes
        self._allowance = Allowance()
        self._outcomes: dict[Outcome, int] = {}
        self._repairs: dict[str, int] = {}
        self._publishes = self._envelopes = 0
        self.lanes = lanes
        self.queue = Queue()
        self.connection = 0

    def take(self, arrived: list[Arrival]) -> None:
        """Everything one read brought. Times of receipt strictly increase: no two samples of a series share one."""
        now = max(self._clock(), self._last + 1)
        one = self._one
        for arrival in arrived:
            one(arrival, now)
            now += 1
        self._last = now
        metrics.received.inc(len(arrived))
        self._count()

    def connected(self) -> None:
        """A new connection: acknowledgements owed over an earlier one are owed no more."""
        self.connection += 1
        self._seen.connected()

    def held(self, number: int) -> Publish | None:
        """JetStream holds message `number`; gives the next of its subject, to be sent."""
        found = self.lanes.held(number)
        if found is None:
            return None
        publish, following = found
        outcomes = self._outcomes
        for delivery in publish.deliveries:
            delivery.open -= 1
            if not delivery.open:
                outcomes[delivery.outcome] = outcomes.get(delivery.outcome, 0) + 1
        self._publishes += 1
        if publish.ordered:
            self._envelopes += len(publish.deliveries)
        return following

    def finished(self) -> list[Delivery]:
        """Deliveries of the current connection to be acknowledged now, in their order."""
        self._count()
        return self.queue.finished(self.connection)

    @property
    def full(self) -> bool:
        """Whether so much is in flight that reading has to stop."""
        return self._load() >= 1

    @property
    def eased(self) -> bool:
        """Whether reading may go on."""
        return self._load() < RESUME_BELOW

    @property
    def oldest_age(self) -> float:
        """Seconds since the oldest unacknowledged message came."""
        oldest = self.queue.oldest
        return 0.0 if oldest is None else max(self._clock() - oldest, 0) / MICROS

    def _load(self) -> float:
        count = max(self.queue.waiting, self.lanes.envelopes)
        return max(count / self._max_inflight, self.lanes.size / self._max_bytes)

    def _one(self, arrival: Arrival, now: int) -> None:
        topic, payload, mid, head = arrival
        delivery = Delivery(mid, (head & QOS) >> 1, self.connection, now)
        digest: str | None = None
        held: frozenset[int] = frozenset()
        if head & QOS:
            digest = self._keys.digest(mid, topic, payload)
            if head & DUP and (known := self._seen.get(digest)):
                if isinstance(known, Delivery):
                    self._repeated(known, delivery)
                    return
                held = known
            self._seen.add(digest, delivery)
            self.queue.add(delivery)
        try:
            verdict = self._normalise(topic, payload, received_at=now, retained=head & RETAIN != 0, key=digest)
            encoded = _not_held(verdict, held) if held else verdict.encoded
        except Exception as error:  # a fault of ours must cost this message only; it is kept, and told
            log.exception("a message broke the normalisation", topic=topic[:200])
            verdict, encoded = Verdict(rejection=Rejection("malformed", f"unexpected: {error!r}")), ()
        for part in encoded:
            if len(part) > MAX_ENVELOPE_BYTES:
                verdict = Verdict(rejection=Rejection("too_large", f"an envelope of {len(part)} bytes"))
                break
            self.lanes.add(verdict.subject, part, delivery)
            delivery.open += 1
        if not delivery.open or verdict.rejection or verdict.repairs:
            self._settle(arrival, delivery, verdict, digest)

    def _repeated(self, known: Delivery, repeat: Delivery) -> None:
        """A message that this process has had before. Still in flight, the acknowledgement it waits for now belongs to
        the current connection; acknowledged before, it is acknowledged once more.
        """
        self._outcome(_DUPLICATE)
        if known.acknowledged:
            self.queue.add(repeat)
        known.connection = self.connection

    def _settle(self, arrival: Arrival, delivery: Delivery, verdict: Verdict, digest: str | None) -> None:
        """A message that is not simply on its way: repaired, refused, ignored, or known already."""
        for repair in verdict.repairs:
            self._repairs[repair] = self._repairs.get(repair, 0) + 1
        if verdict.rejection:
            self._refuse(arrival, delivery, verdict.rejection, digest)
        elif verdict.ignored:
            delivery.outcome = ("ignored", verdict.ignored)
            if arrival.topic == DROPPED and arrival.payload.isdigit() and len(arrival.payload) <= MAX_DIGITS:
                metrics.broker_dropped.set(int(arrival.payload))
        elif not delivery.open:
            delivery.outcome = _DUPLICATE
        if not delivery.open:
            self._outcome(delivery.outcome)

    def _refuse(self, arrival: Arrival, delivery: Delivery, rejection: Rejection, digest: str | None) -> None:
        if not self._allowance.take(rejection.reason, delivery.received_at):
            delivery.outcome = ("suppressed", rejection.reason)
            return
        delivery.outcome = ("deadletter", rejection.reason)
        delivery.open += 1
        data = letter(
            self._normalise.place(arrival.topic).topic,
            arrival,
            rejection,
            received_at=delivery.received_at,
            retained=arrival.head & RETAIN != 0,
            key=digest,
        )
        subject = deadletter_subject("ingest", rejection.reason)
        self.lanes.add_alone(subject, data, delivery, digest and f"{digest}:{rejection.reason}")

    def _outcome(self, outcome: Outcome) -> None:
        self._outcomes[outcome] = self._outcomes.get(outcome, 0) + 1

    def _count(self) -> None:
        """Bring the counters up to date: once a read, since each costs a lock."""
        for (outcome, reason), count in self._outcomes.items():
            metrics.outcomes.labels(outcome, reason).inc(count)
        self._outcomes.clear()
        for repair, count in self._repairs.items():
            metrics.repairs.labels(repair).inc(count)
        self._repairs.clear()
        metrics.publishes.inc(self._publishes)
        metrics.envelopes.inc(self._envelopes)
        self._publishes = self._envelopes = 0


def _not_held(verdict: Verdict, held: frozenset[int]) -> tuple[bytes, ...]:
    """The encoded envelopes of a message that JetStream does not hold yet."""
    both = zip(verdict.encoded, verdict.envelopes, strict=True)
    return tuple(data for data, envelope in both if _index(envelope) not in held)


def _index(envelope: Envelope) -> int:
    """The place of an envelope in its MQTT message, as its delivery key has it."""
    return int(str(envelope.delivery_key).rpartition(":")[2])
