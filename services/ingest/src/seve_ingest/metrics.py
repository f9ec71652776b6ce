"""Ingest's metrics. Every received message has exactly one outcome; repairs are counted separately. Names, units, and
the sums that must agree between neighbours: docs/metrics.md.

`Totals` are plain numbers that the event loop increments and the admin port's thread reads. A counter of the client
library takes a lock at each increment; at 1,000 messages per second these took a twelfth of the Python time of a turn.
"""

import collections
from collections.abc import Iterator
from typing import Final, get_args

from prometheus_client import REGISTRY, Counter, Gauge
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector
from seve_runtime.nats.topology import DEADLETTER, JOURNAL
from seve_schema.deadletter import IngestReason

from seve_ingest.normalise.coerce import REPAIRS
from seve_ingest.normalise.verdict import IgnoredReason

resends: Final = Counter("seve_ingest_resends_total", "NATS messages sent again, by reason", ("reason",))
connections: Final = Counter("seve_ingest_mqtt_connections_total", "connections to the broker that were accepted")
sessions_lost: Final = Counter(
    "seve_ingest_mqtt_sessions_lost_total", "sessions that the broker lost, with what waited in them"
)
journal_lost: Final = Counter(
    "seve_ingest_journal_lost_messages_total", "messages that the journal had acknowledged and has lost with its end"
)
paused: Final = Gauge("seve_ingest_reading_paused", "1 while reading is stopped because too much is in flight")
waiting: Final = Gauge("seve_ingest_unacknowledged_messages", "MQTT messages not acknowledged yet")
queued: Final = Gauge("seve_ingest_queued_envelopes", "envelopes not held by JetStream yet")
queued_bytes: Final = Gauge("seve_ingest_queued_bytes", "bytes of the envelopes not held by JetStream yet")
in_flight: Final = Gauge("seve_ingest_in_flight_messages", "NATS messages without an ack yet")
oldest: Final = Gauge("seve_ingest_oldest_unacknowledged_seconds", "age of the oldest unacknowledged MQTT message")
broker_dropped: Final = Gauge("seve_ingest_broker_dropped_messages", "messages the broker itself says it dropped")


OUTCOMES: Final = (
    *(("published", ""), ("duplicate", "")),
    *((outcome, reason) for outcome in ("deadletter", "suppressed") for reason in get_args(IngestReason)),
    *(("ignored", reason) for reason in get_args(IgnoredReason)),
)
"""All outcomes with their reasons. Each series begins at 0: Prometheus sees no increase in one that begins at 1."""


class Totals(Collector):
    """Counts since the start: received messages, messages by outcome and reason, messages by their repairs, NATS
    messages that JetStream holds by stream, and the envelopes that the journal holds.
    """

    def __init__(self) -> None:
        self.received = 0
        self.sent: collections.Counter[str] = collections.Counter()
        self.envelopes = 0
        self.outcomes: collections.Counter[tuple[str, str]] = collections.Counter(dict.fromkeys(OUTCOMES, 0))
        self.repairs: collections.Counter[tuple[str, ...]] = collections.Counter()

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Yield the current counters."""
        yield CounterMetricFamily("seve_ingest_received_messages", "MQTT messages received", value=self.received)
        sent = CounterMetricFamily(
            "seve_ingest_sent_messages", "NATS messages that JetStream holds, by stream", labels=("stream",)
        )
        for stream in (JOURNAL, DEADLETTER):
            sent.add_metric((stream,), self.sent[stream])
        yield sent
        yield CounterMetricFamily(
            "seve_ingest_sent_envelopes", "envelopes that the journal holds", value=self.envelopes
        )
        outcomes = CounterMetricFamily(
            "seve_ingest_outcomes", "messages received, by what became of each and why", labels=("outcome", "reason")
        )
        for labels, count in list(self.outcomes.items()):
            outcomes.add_metric(labels, count)
        yield outcomes
        kinds: collections.Counter[str] = collections.Counter(dict.fromkeys(REPAIRS, 0))
        for repaired, count in list(self.repairs.items()):
            for kind in repaired:
                kinds[kind] += count
        repairs = CounterMetricFamily("seve_ingest_repairs", "repairs made in messages, by kind", labels=("kind",))
        for kind, count in kinds.items():
            repairs.add_metric((kind,), count)
        yield repairs


totals: Final = Totals()
REGISTRY.register(totals)
