"""From the messages of one read to envelopes in the queues of their subjects, and from what the journal holds to
acknowledgements. The meeting point of the pure parts: it reads no socket and sends nothing.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec
import structlog
from seve_runtime.clock import micros
from seve_runtime.nats.topology import DEADLETTER, JOURNAL
from seve_runtime.rate_limit import Quota
from seve_schema.envelope import KINDS
from seve_schema.subjects import deadletter_subject, telemetry_subject
from seve_schema.times import MICROS

from seve_ingest import metrics
from seve_ingest.deadletters.build import PER_SECOND, PER_SECOND_OF_MODULE, dead_letter
from seve_ingest.mqtt.framing import DUP, FIRST_QOS0, FIRST_QOS1, QOS, RETAIN, Arrival, Arrived
from seve_ingest.normalise.fast_path import TIME_MISSING
from seve_ingest.normalise.normaliser import Normaliser, Rejection, Verdict
from seve_ingest.publish.deliveries import DUPLICATE, PUBLISHED, AckQueue, Delivery
from seve_ingest.publish.redelivery import (
    LATE,
    UNREAD,
    KnownKey,
    RedeliveryMemory,
    client_digest,
    content_digest,
    delivery_keys,
)
from seve_ingest.publish.subject_queues import Publish, SubjectQueues

RESUME_BELOW: Final = 0.75
"""Reading resumes below this share of the bound that stopped it."""

log = structlog.get_logger()

DROPPED: Final = b"$SYS/broker/publish/messages/dropped"
"""The topic on which Mosquitto publishes how many messages it dropped."""

_HEX: Final = tuple(f"{byte:02x}" for byte in range(256))

_MOST_DIGITS: Final = 20
"""Most digits of Mosquitto's counter, which has 64 bits."""

MAX_ENVELOPE_BYTES: Final = 900 * 1024
"""Largest envelope that is published: NATS takes 1 MiB by default, headers and all."""


class _Key(msgspec.Struct, rename="camel"):
    delivery_key: str | None = None


_key_of: Final = msgspec.json.Decoder(_Key).decode


class Pipeline:
    """Messages of one session, over all its connections; `ingest` names it in subjects, `connection` numbers the
    current connection. `progress` is set when deliveries may have become acknowledgeable: the session waits for it.
    """

    def __init__(
        self,
        normaliser: Normaliser,
        queues: SubjectQueues,
        memory: RedeliveryMemory,
        *,
        ingest: str,
        client_id: str,
        max_inflight: int,
        max_bytes: int,
        clock: Callable[[], int] = micros,
    ) -> None:
        self._normalise = normaliser
        self._memory = memory
        self._client = client_digest(client_id)
        self._subjects = {kind: telemetry_subject(ingest, kind) for kind in KINDS}
        self._clock = clock
        self._last = 0
        self._max_inflight = max_inflight
        self._max_bytes = max_bytes
        self._of_reason = Quota(PER_SECOND)
        self._of_module = Quota(PER_SECOND_OF_MODULE)
        self._totals = metrics.totals
        self.queues = queues
        self.acks = AckQueue()
        self.connection = 0
        self._unread_until = 0
        self.progress = asyncio.Event()

    def take(self, arrivals: list[Arrived], unread: float = 0.0) -> None:
        """Take everything that one read brought; it may have lain in the socket for `unread` seconds. Times of receipt
        strictly increase: no two samples of a series share one. A message that cannot be worked on costs itself only.

        Plain samples that arrive for the first time, not retained, are worked on here and queued together; each other
        message alone, and all while messages of a lost connection may come again. Runs for every message: flat on
        purpose.
        """
        now = max(self._clock(), self._last + 1)
        client, connection, unanswered = self._client, self.connection, self._memory.unanswered
        plain, timeless = self._normalise.plain, 0
        encoded: list[bytes] = []
        deliveries: list[Delivery] = []
        for topic, payload, mid, head in arrivals:
            found, content = None, ""
            try:
                if head == FIRST_QOS1 and not unanswered:
                    content = content_digest(topic, payload)
                    key = f'"{client}{_HEX[mid >> 8]}{_HEX[mid & 0xFF]}{content}:0"'
                    found = plain(topic, payload, now, key)
                elif head == FIRST_QOS0:
                    found = plain(topic, payload, now, "null")
            except Exception:  # noqa: S110  (`_take_alone` meets it again, and keeps and tells the message)
                pass
            if found:
                encoded.append(found[0])
                deliveries.append(Delivery(mid, (head & QOS) >> 1, connection, now, content, 1))
                timeless += not found[1]
            else:
                self._queue_plain(encoded, deliveries)
                self._take_alone(
                    Arrival(topic, payload, mid, head), Delivery(mid, (head & QOS) >> 1, connection, now, content)
                )
            now += 1
        self._queue_plain(encoded, deliveries)
        self._last = now
        if unread >= UNREAD:
            self._unread_until = now
        self._totals.received += len(arrivals)
        self._totals.repairs[TIME_MISSING] += timeless

    def connection_lost(self) -> None:
        """Drop the acknowledgements due on the lost connection: the broker will send those messages again."""
        self.connection += 1
        self._memory.connection_lost(self.acks.unacknowledged())

    def session_lost(self) -> bool:
        """Forget the session, which the broker does not have; return whether it had it before, as far as is known."""
        return self._memory.session_lost()

    def held(self, number: int, sequence: int) -> None:
        """Note that JetStream holds message `number` as `sequence`."""
        publish = self.queues.held(number, sequence)
        if publish is None:
            return
        published, outcomes = 0, self._totals.outcomes
        for delivery in publish.deliveries:
            delivery.open -= 1
            if not delivery.open:
                if delivery.outcome is PUBLISHED:
                    published += 1
                else:
                    outcomes[delivery.outcome] += 1
        outcomes[PUBLISHED] += published
        if publish.queue:
            self._totals.sent[JOURNAL] += 1
            self._totals.envelopes += len(publish.deliveries)
        else:
            self._totals.sent[DEADLETTER] += 1
        self.progress.set()

    def published_late(self, publish: Publish, data: bytes, sequence: int) -> bool:
        """The last message of a subject is not of this process. If it came after the journal was read back, an ingest
        that was killed had sent it: what it holds is not published again. Return whether nothing of `publish` is left.
        """
        if sequence <= self._memory.end:
            return False
        late = {each for key in delivery_keys(data) if key and (each := KnownKey.of(key, self._client))}
        self._memory.load_late(late)
        for delivery in self.queues.discard(publish, lambda part: _known_key(part, self._client) in late):
            delivery.open -= 1
            if not delivery.open:
                delivery.outcome = DUPLICATE
                self._done(delivery)
        return not publish.deliveries

    def give_up(self, now: float) -> int:
        """Count as suppressed, and acknowledge, what `SubjectQueues.give_up` returns; return how many messages."""
        publishes = self.queues.give_up(now)
        for delivery in (each for publish in publishes for each in publish.deliveries):
            delivery.open -= 1
            delivery.outcome = ("suppressed", delivery.outcome[1])
            if not delivery.open:
                self._done(delivery)
        return len(publishes)

    def acknowledgeable(self) -> list[Delivery]:
        """Return, once, the deliveries of the current connection that can be acknowledged now, in their order."""
        if done := self.acks.take(self.connection):
            now = self._clock()
            late = max(self._unread_until, now - round(LATE * MICROS))
            if done[0].received_at <= late:
                self._memory.add_late((each for each in done if each.received_at <= late), now)
        return done

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
        """Seconds since the oldest unacknowledged message arrived."""
        oldest = self.acks.oldest
        return 0.0 if oldest is None else max(self._clock() - oldest, 0) / MICROS

    def _load(self) -> float:
        count = max(self.acks.waiting, self.queues.envelopes)
        return max(count / self._max_inflight, self.queues.size / self._max_bytes)

    def _queue_plain(self, encoded: list[bytes], deliveries: list[Delivery]) -> None:
        """Queue the envelopes of new plain samples, one of each delivery, and begin the lists anew."""
        if encoded:
            acknowledged = [delivery for delivery in deliveries if delivery.qos]
            self._memory.add(*acknowledged)
            self.acks.add_all(acknowledged)
            self.queues.add_all(self._subjects["measurement"], encoded, deliveries)
            encoded.clear()
            deliveries.clear()

    def _take_alone(self, arrival: Arrival, delivery: Delivery) -> None:
        try:
            self._one(arrival, delivery)
        except Exception as error:  # a fault of ours; the message is kept, and told
            self._failed(arrival, delivery, error)

    def _one(self, arrival: Arrival, delivery: Delivery) -> None:
        topic, payload, mid, head = arrival
        key: str | None = None
        held: frozenset[int] | None = None
        if head & QOS:
            delivery.content = content = delivery.content or content_digest(topic, payload)
            key = f"{self._client}{mid:04x}{content}"
            dup = head & DUP != 0
            if dup or self._memory.unanswered:
                known = self._memory.recall(mid, content, dup=dup, now=delivery.received_at)
                if known and known.held is None:
                    self._repeated(known, delivery)
                    return
                held = known.held if known else None
            self._memory.add(delivery)
            self.acks.add(delivery)
        retained = head & RETAIN != 0
        verdict = self._normalise(topic, payload, received_at=delivery.received_at, retained=retained, key=key)
        parts = verdict.encoded
        subject = self._subjects[verdict.kind]
        if held:
            parts = tuple(part for part in parts if not self._holds(part, held))
        for part in parts:
            if len(part) > MAX_ENVELOPE_BYTES:
                verdict = Verdict(rejection=Rejection("too_large", f"an envelope of {len(part)} bytes"))
                break
            self.queues.add(subject, part, delivery)
            delivery.open += 1
        if verdict.repairs:
            self._totals.repairs[verdict.repairs] += 1
        if not delivery.open or verdict.rejection:
            self._settle(arrival, delivery, verdict, key)

    def _holds(self, part: bytes, held: frozenset[int]) -> bool:
        known = _known_key(part, self._client)
        return known is not None and known.index in held

    def _repeated(self, known: Delivery, repeat: Delivery) -> None:
        """Handle a message that this process received before. It is acknowledged once over each connection, and for
        each identifier; if the message is still in flight, when the journal holds it.
        """
        self._totals.outcomes[DUPLICATE] += 1
        self.progress.set()
        if known.mid != repeat.mid or (known.acknowledged and known.connection != self.connection):
            self._memory.add(repeat)
            self.acks.add(repeat)
        else:
            known.connection = self.connection

    def _settle(self, arrival: Arrival, delivery: Delivery, verdict: Verdict, key: str | None) -> None:
        """Settle a message that is not just published: refused, ignored, or known already."""
        if verdict.rejection:
            self._refuse(arrival, delivery, verdict.rejection, key)
        elif verdict.ignored:
            delivery.outcome = ("ignored", verdict.ignored)
            if arrival.topic == DROPPED and len(arrival.payload) <= _MOST_DIGITS and arrival.payload.isdigit():
                metrics.broker_dropped.set(int(arrival.payload))
        else:
            delivery.outcome = DUPLICATE
        if not delivery.open:
            self._done(delivery)

    def _failed(self, arrival: Arrival, delivery: Delivery, error: Exception) -> None:
        """Handle an exception of ingest: the message becomes a dead letter if possible, acknowledged in order."""
        log.error("a message failed in ingest", topic=arrival.topic[:200], exc_info=error)
        rejection = Rejection("malformed", f"unexpected: {error!r}")
        try:
            self._refuse(arrival, delivery, rejection, None)
        except Exception:
            log.exception("a message failed and has no dead letter", topic=arrival.topic[:200])
            delivery.outcome = ("suppressed", rejection.reason)
        if not delivery.open:
            self._done(delivery)

    def _done(self, delivery: Delivery) -> None:
        """Finish a message of which JetStream has to hold nothing."""
        self._totals.outcomes[delivery.outcome] += 1
        self.progress.set()

    def _refuse(self, arrival: Arrival, delivery: Delivery, rejection: Rejection, key: str | None) -> None:
        place = self._normalise.place(arrival.topic)
        if not self._keeps(place.module_id, rejection.reason, delivery.received_at / MICROS):
            delivery.outcome = ("suppressed", rejection.reason)
            return
        data = dead_letter(
            place.topic,
            arrival,
            rejection,
            received_at=delivery.received_at,
            retained=arrival.head & RETAIN != 0,
            key=key,
        )
        delivery.outcome = ("deadletter", rejection.reason)
        delivery.open += 1
        subject = deadletter_subject("ingest", rejection.reason)
        self.queues.add_alone(subject, data, delivery, key and f"{key}:{rejection.reason}")

    def _keeps(self, module: str, reason: str, second: float) -> bool:
        """Whether a dead letter is kept. The module is asked first: its surplus takes nothing from the reason's quota.
        A topic that names no module has the reason's quota only.
        """
        return not (module and not self._of_module.allows(module, second)) and self._of_reason.allows(reason, second)


def _known_key(part: bytes, client: str) -> KnownKey | None:
    """Return the delivery key of an encoded envelope; None at QoS 0."""
    return KnownKey.of(_key_of(part).delivery_key or "", client)
