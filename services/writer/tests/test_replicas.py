"""Several writers on one journal, as processes: they join, leave and die under load; the table has every row once."""

import asyncio
import signal

from support.conditions import eventually

from .conftest import envelope


async def publishing(journal, stop):
    """Publish messages of one to thirty samples until `stop`; return the number of samples."""
    rows = number = 0
    while not stop.is_set():
        size = 1 + number % 30
        await journal.publish(*(envelope(f"module-{number % 9}", at=(rows + index) * 1000) for index in range(size)))
        rows, number = rows + size, number + 1
        await asyncio.sleep(0.001)  # a steady load; without the pause it would be a backlog
    return rows


async def rows_reach(query, rows):
    await eventually(lambda: query("SELECT count(*) FROM measurements")[0][0] >= rows, f"{rows} rows")


def connected(query):
    ask = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'seve-writer' AND datname = current_database()"
    )
    return query(ask)[0][0]


async def test_writers_join_and_leave_under_load(journal, process, query):
    """SIGTERM at any moment: nothing is lost or written twice, since a leaving writer flushes and acknowledges."""
    stop = asyncio.Event()
    load = asyncio.create_task(publishing(journal, stop))
    writers = [process()]
    await rows_reach(query, 100)
    for _ in range(3):
        writers.append(process())
        await eventually(lambda: connected(query) == len(writers), "the new writer at the database")
        leaving = writers.pop(0)
        leaving.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(leaving.wait, 20) == 0
    stop.set()
    rows = await load
    await eventually(journal.empty, "all acknowledged")
    assert query("SELECT count(*) FROM measurements") == [(rows,)]
    received = "SELECT sum(received)::int, sum(inserted)::int, sum(updated)::int, sum(replaced)::int FROM ledger"
    assert query(received) == [(rows, rows, 0, 0)]


async def test_a_writer_killed_under_load_loses_nothing(journal, process, query):
    """SIGKILL: its held messages go to the others after ACK_WAIT, and committed ones are not stored twice."""
    stop = asyncio.Event()
    load = asyncio.create_task(publishing(journal, stop))
    first = process(FLUSH_INTERVAL="1s", BATCH_SIZE="5000")
    await rows_reach(query, 500)

    async def held():
        return (await journal.js.consumer_info("TELEMETRY", "writer")).num_ack_pending >= 100

    await eventually(held, "messages held by both")
    first.kill()
    second = process()
    await rows_reach(query, 1000)
    stop.set()
    rows = await load
    await eventually(journal.empty, "all acknowledged", seconds=40)
    assert second.poll() is None
    assert query("SELECT count(*) FROM measurements") == [(rows,)]
    last = (await journal.js.stream_info("TELEMETRY")).state.last_seq
    assert query("SELECT range_agg(sequences)::text FROM ledger") == [(f"{{[1,{last + 1})}}",)]
