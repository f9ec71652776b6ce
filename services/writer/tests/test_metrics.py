"""Every metric of the writer, after a run that changes each of them."""

import asyncio
import urllib.request

from support.conditions import eventually, free_port

from .conftest import envelope, running, settings_for


def read(port):
    """`/metrics` as a mapping of sample to value."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    pairs = [line.rpartition(" ") for line in lines if line.startswith("seve_writer_")]
    return {name: float(value) for name, _, value in pairs}


async def test_each_metric_counts_its_part_of_a_run(journal, writer, query):
    """Rows by outcome, batches by trigger, sizes and times, lag and age, dead letters and upserts; as differences."""
    query("ALTER TABLE measurements ADD CONSTRAINT sane CHECK (value < 1000)")
    port = free_port()
    async with writer(admin_listen=f"127.0.0.1:{port}"):
        await eventually(journal.empty, "started")
        before = await asyncio.to_thread(read, port)

        async def rose(sample, by):
            now = await asyncio.to_thread(read, port)
            return now.get(sample, 0) - before.get(sample, 0) == by

        await journal.publish(envelope())
        await eventually(journal.empty, "one")
        await journal.publish(envelope(value=2))
        await journal.publish(*(envelope(at=at) for at in range(1, 101)))
        await journal.publish(envelope(value=5000, at=200), envelope(kind="measurement", at=201))
        await journal.publish(envelope(kind="other"))
        await eventually(journal.empty, "all")
        for sample, by in {
            'seve_writer_envelopes_total{outcome="inserted"}': 102,
            'seve_writer_envelopes_total{outcome="updated"}': 1,
            'seve_writer_envelopes_total{outcome="dead"}': 1,
            'seve_writer_envelopes_total{outcome="ignored"}': 1,
            'seve_writer_deadletters_total{sqlstate="23514"}': 1,
            "seve_writer_received_messages_total": 5,
            "seve_writer_acknowledged_messages_total": 5,
            "seve_writer_batch_rows_sum": 105,
        }.items():
            await eventually(lambda sample=sample, by=by: rose(sample, by), f"{sample} risen by {by}")
        now = await asyncio.to_thread(read, port)
    for sample in (
        'seve_writer_batches_total{trigger="interval"}',
        'seve_writer_upserts_total{reason="conflict"}',
        "seve_writer_flush_seconds_count",
        "seve_writer_age_at_commit_seconds_count",
    ):
        assert now[sample] > before.get(sample, 0), sample
    assert {"seve_writer_consumer_lag_messages", "seve_writer_oldest_unwritten_seconds"} <= now.keys()


async def test_lag_and_age_are_those_of_the_journal(journal, postgres_server, nats_server):
    """While nothing can be written the oldest message grows older, whoever holds it."""
    port = free_port()
    postgres_server.stop()
    async with running(settings_for(nats_server.url, postgres_server.url, admin_listen=f"127.0.0.1:{port}")):
        for at in range(3):
            await journal.publish(envelope(at=at))

        async def behind():
            try:
                now = await asyncio.to_thread(read, port)
            except OSError:
                return False
            return now["seve_writer_consumer_lag_messages"] == 3 and now["seve_writer_oldest_unwritten_seconds"] > 0

        await eventually(behind, "the lag and the age of the oldest")
