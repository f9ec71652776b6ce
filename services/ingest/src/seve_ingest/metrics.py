"""What ingest counts. Every message received ends in exactly one outcome; repairs are counted beside them."""

from typing import Final

from prometheus_client import Counter, Gauge

received: Final = Counter("seve_ingest_received_total", "MQTT messages received")
outcomes: Final = Counter(
    "seve_ingest_outcomes_total", "what became of each message received, once each", ("outcome", "reason")
)
repairs: Final = Counter("seve_ingest_repairs_total", "what had to be repaired, by kind", ("kind",))
envelopes: Final = Counter("seve_ingest_envelopes_total", "envelopes that JetStream holds")
publishes: Final = Counter("seve_ingest_publishes_total", "NATS messages that JetStream holds")
resends: Final = Counter("seve_ingest_resends_total", "NATS messages sent again, by reason", ("reason",))
connections: Final = Counter("seve_ingest_mqtt_connections_total", "connections to the broker that were accepted")
sessions_lost: Final = Counter(
    "seve_ingest_mqtt_sessions_lost_total", "times the broker no longer had the session, with what waited in it"
)
paused: Final = Gauge("seve_ingest_reading_paused", "1 while reading is stopped because too much is in flight")
waiting: Final = Gauge("seve_ingest_unacknowledged_messages", "MQTT messages not acknowledged yet")
queued: Final = Gauge("seve_ingest_queued_envelopes", "envelopes not held by JetStream yet")
queued_bytes: Final = Gauge("seve_ingest_queued_bytes", "their size")
in_flight: Final = Gauge("seve_ingest_publishes_in_flight", "NATS messages without an ack yet")
oldest: Final = Gauge("seve_ingest_oldest_unacknowledged_seconds", "age of the oldest unacknowledged MQTT message")
broker_dropped: Final = Gauge("seve_ingest_broker_dropped_messages", "messages the broker itself says it dropped")
