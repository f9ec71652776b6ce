"""The sums of docs/metrics.md, on a running pipeline."""

import json

from support import clients
from support.conditions import wait_until

JOURNAL = 'seve_ingest_sent_messages_total{stream="TELEMETRY"}'
DEADLETTER = 'seve_ingest_sent_messages_total{stream="DEADLETTER"}'


def total(figures, name, **labels):
    """The sum of a metric's samples that have these labels."""
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    return sum(
        value for key, value in figures.items() if key.partition("{")[0] == name and all(one in key for one in wanted)
    )


def disagreements(ingest, writers, broadcaster):
    """The sums that do not agree, by the words of the page; `writers` are the figures of each."""
    acknowledged = sum(total(each, "seve_writer_acknowledged_messages_total") for each in writers)
    stored = sum(total(each, "seve_writer_envelopes_total") for each in writers)
    last = writers[0]["seve_writer_journal_last_sequence"]
    received = broadcaster["seve_broadcaster_received_messages_total"]
    sums = {
        "within ingest": (
            ingest["seve_ingest_received_messages_total"],
            total(ingest, "seve_ingest_outcomes_total") + ingest["seve_ingest_unacknowledged_messages"],
        ),
        "ingest -> dead letters": (
            total(ingest, "seve_ingest_outcomes_total", outcome="deadletter"),
            ingest[DEADLETTER],
        ),
        "ingest -> journal": (ingest[JOURNAL], last),
        "journal -> writers, messages": (
            ingest[JOURNAL],
            acknowledged + writers[0]["seve_writer_consumer_lag_messages"],
        ),
        "journal -> writers, envelopes": (ingest["seve_ingest_sent_envelopes_total"], stored),
        "journal -> broadcaster": (
            ingest[JOURNAL],
            received + last - broadcaster["seve_broadcaster_head_sequence"],
        ),
        "journal -> broadcaster, envelopes": (
            ingest["seve_ingest_sent_envelopes_total"],
            broadcaster["seve_broadcaster_received_envelopes_total"],
        ),
    }
    for number, writer in enumerate(writers, 1):
        sums[f"within writer {number}"] = (
            writer["seve_writer_received_messages_total"],
            sum(
                writer[f"seve_writer_{name}"]
                for name in ("acknowledged_messages_total", "returned_messages_total", "held_messages")
            ),
        )
        sums[f"writer {number} -> dead letters"] = (
            total(writer, "seve_writer_envelopes_total", outcome="dead"),
            total(writer, "seve_writer_deadletters_total") + writer["seve_writer_deadletters_suppressed_total"],
        )
    return {name: sides for name, sides in sums.items() if sides[0] != sides[1]}


def test_what_neighbours_count_agrees(make_stack):
    """Samples, batches, reports, logs, dead letters of both sorts, ignored and repaired messages, two writers."""
    stack = make_stack(writers=2)
    stack.execute("ALTER TABLE measurements ADD CONSTRAINT sane CHECK (value < 1000)")
    with clients.device(stack.mqtt_url) as publish:
        for number in range(200):
            publish(f"m{number % 7}/co2", json.dumps({"value": number}), qos=number % 2)
        publish("m1/co2", json.dumps({"t0": "2025-11-30T18:59:00Z", "dt": 1, "v": list(range(100))}))
        publish("m1/co2", json.dumps({"value": 5000}))
        publish("m1/co2", "warm")
        publish("m1/co2", '{"value": 45')
        publish("m1/co2", "")
        publish("m1/logs", json.dumps({"level": "warn", "msg": "slow"}))
        publish("m1/status", "online", retain=True)
        publish("m1/system", json.dumps({"rssi": "-45"}))

    def figures():
        return (
            stack.metrics("ingest"),
            [stack.metrics("writer"), stack.metrics("writer-2")],
            stack.metrics("broadcaster"),
        )

    def at_rest():
        found = figures()
        return found[0]["seve_ingest_received_messages_total"] == 208 and disagreements(*found) == {}

    try:
        wait_until(at_rest, "the sums agree", 30)
    except AssertionError:
        assert disagreements(*figures()) == {}
        raise
    ingest, writers, broadcaster = figures()
    assert ingest["seve_ingest_sent_envelopes_total"] == 200 + 100 + 1 + 1 + 3
    assert ingest[DEADLETTER] == 2
    assert sum(total(each, "seve_writer_envelopes_total", outcome="dead") for each in writers) == 1
    assert sum(each["seve_writer_age_at_commit_seconds_count"] for each in writers) > 0
    assert broadcaster["seve_broadcaster_age_at_frame_seconds_count"] > 0
