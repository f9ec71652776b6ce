"""The writer's metrics, declared here and changed per batch, never per row. Names, units, and the sums that must agree
between neighbours: docs/metrics.md.
"""

from prometheus_client import Counter, Gauge, Histogram

RECEIVED = Counter("seve_writer_received_messages_total", "Journal messages fetched")
RETURNED = Counter(
    "seve_writer_returned_messages_total",
    "Journal messages returned: unwritten at a stop, or without their dead letter",
)
ENVELOPES = Counter("seve_writer_envelopes_total", "Envelopes committed, by the ledger's outcomes", ["outcome"])
for _outcome in ("inserted", "updated", "replaced", "dead", "ignored"):
    ENVELOPES.labels(_outcome)  # begin at 0: Prometheus sees no increase in a series that begins at 1
ACKNOWLEDGED = Counter("seve_writer_acknowledged_messages_total", "Journal messages acknowledged, once committed")
BATCHES = Counter("seve_writer_batches_total", "Batches written, by trigger", ["trigger"])
BATCH_ROWS = Histogram(
    "seve_writer_batch_rows", "Rows of a batch", buckets=(1, 10, 50, 100, 200, 500, 1000, 2000, 5000, 10000)
)
FLUSH_SECONDS = Histogram(
    "seve_writer_flush_seconds",
    "From taking a batch to its acknowledgement, retries included",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5, 30, 120),
)
AGE_SECONDS = Histogram(
    "seve_writer_age_at_commit_seconds",
    "Age of a batch's oldest envelope when it is committed, since ingest received it",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 6, 10, 30, 60, 300, 3600),
)
UPSERTS = Counter("seve_writer_upserts_total", "Batches written as an upsert, by reason", ["reason"])
RETRIES = Counter("seve_writer_retries_total", "Transactions that failed and were repeated", ["fault", "sqlstate"])
HALVINGS = Counter("seve_writer_halvings_total", "Parts of a batch that the database refused and the writer halved")
DEAD = Counter("seve_writer_deadletters_total", "Envelopes published as dead letters", ["sqlstate"])
SUPPRESSED = Counter(
    "seve_writer_deadletters_suppressed_total", "Dead letters beyond 100 per second and reason: counted, not kept"
)
UNCONFIRMED = Counter(
    "seve_writer_unconfirmed_deadletters_total",
    "Dead letters that NATS did not confirm in time: their messages are not acknowledged, and come again",
)
CHIP_CHANGES = Counter(
    "seve_writer_chip_changes_total", "Reports of a module by another chip: a second device, or a new board"
)
WAITING = Gauge("seve_writer_waiting_rows", "Rows that wait for a flush")
HELD = Gauge("seve_writer_held_messages", "Journal messages this writer holds unacknowledged")
LAG = Gauge("seve_writer_consumer_lag_messages", "Journal messages not yet acknowledged by any writer")
ACK_PENDING = Gauge("seve_writer_consumer_ack_pending_messages", "Journal messages all writers hold unacknowledged")
OLDEST_SECONDS = Gauge("seve_writer_oldest_unwritten_seconds", "Age of the oldest journal message that is not stored")
JOURNAL_SEQUENCE = Gauge("seve_writer_journal_last_sequence", "Sequence of the newest message of the journal")
JOURNAL_BYTES = Gauge(
    "seve_writer_journal_bytes", "Size of the journal, stored messages that it keeps as history included"
)
JOURNAL_LIMIT = Gauge("seve_writer_journal_limit_bytes", "Size at which the journal refuses messages")
PURGED = Counter("seve_writer_purged_messages_total", "Stored messages purged beyond HISTORY_MAX_BYTES")
ROLLED_UP = Counter("seve_writer_rolled_up_rows_total", "Rows of measurements_hourly written: series and hours")
RETIRED = Counter("seve_writer_retired_rows_total", "Measurements deleted because of their age")
RETIRED_STATES = Counter("seve_writer_retired_states_total", "State rows deleted because of their age")
RETIRED_LOGS = Counter("seve_writer_retired_log_rows_total", "Lines of devices' logs deleted because of their age")
MERGED = Counter("seve_writer_ledger_merged_rows_total", "Rows of the ledger merged into hours")
