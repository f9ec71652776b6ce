"""States are the same in whatever order reports are written: the position in the journal decides, not a clock. A report
changes only the columns that it carried.
"""

import itertools

import pytest
from seve_writer.database.transaction import plan
from support.conditions import eventually
from support.proxy import proxied

from .conftest import BASE, envelope, running, settings_for, units
from .test_faults import through

JOURNAL = BASE


def status(rssi=None, *, at=0, retained=False, **memory):
    body = ({} if rssi is None else {"rssi": rssi}) | ({"memory": memory} if memory else {})
    return envelope(kind="system.status", metadata=body, at=at, retained=retained)


def config(ip, *, at=0, retained=False):
    return envelope(kind="system.config", metadata={"ip": ip}, at=at, retained=retained)


MESSAGES = {
    1: status(-40, heapFreeKb=100),
    2: config("10.0.0.1"),
    3: status(-50, at=-60_000_000),
    4: config("10.0.0.2"),
}
"""The third has an earlier time: the clock was set back by a minute."""


@pytest.mark.parametrize("order", list(itertools.permutations(MESSAGES)), ids=lambda order: "".join(map(str, order)))
async def test_two_kinds_of_report_leave_the_same_row_in_any_order(store, query, order):
    """Each of the 24 orders of four transactions, every message delivered once more afterwards: the newest of each."""
    for sequence in (*order, *order):
        await store.write(plan(units(sequence, MESSAGES[sequence]), JOURNAL))
    ((rssi, ip, positions),) = query(
        "SELECT rssi, ip, ARRAY[status_position[2], config_position[2]] FROM device_system_status"
    )
    assert (rssi, ip, positions) == (-50, "10.0.0.2", [3, 4])


async def test_within_a_batch_the_order_of_the_journal_counts_too(store, query):
    """A later report of the batch leaves columns alone that only an earlier one carried."""
    first, second = status(-40, heapFreeKb=100, heapMinFreeKb=50), status(-50, heapFreeKb=None)
    counts = await store.write(plan([*units(2, second), *units(1, first)], JOURNAL))
    assert query("SELECT rssi, heap_free_kb, heap_min_free_kb FROM device_system_status") == [(-50, None, 50)]
    assert (counts.received, counts.inserted, counts.updated, counts.replaced) == (2, 1, 1, 0)


async def test_an_overtaken_report_counts_as_replaced(store, query):
    """Of a hundred equal reports in a batch one reaches the table; an older one that comes later changes nothing."""
    counts = await store.write(plan([unit for n in range(2, 102) for unit in units(n, status(-n))], JOURNAL))
    assert (counts.inserted, counts.updated, counts.replaced) == (1, 0, 99)
    counts = await store.write(plan(units(1, status(-1)), JOURNAL))
    assert (counts.inserted, counts.updated, counts.replaced) == (0, 0, 1)
    assert query("SELECT rssi FROM device_system_status") == [(-101,)]


async def test_a_report_that_is_written_again_changes_nothing(store, query):
    """Its position is stored already: it counts as replaced."""
    for expected in ((1, 0, 0), (0, 0, 1)):
        counts = await store.write(plan(units(1, status(-40)), JOURNAL))
        assert (counts.inserted, counts.updated, counts.replaced) == expected


async def test_two_reports_of_one_message_apply_in_their_order(store, query):
    """The place in the message is part of the position."""
    await store.write(plan(units(1, status(-40, heapFreeKb=1), status(-50)), JOURNAL))
    assert query("SELECT rssi, heap_free_kb, status_position[3] FROM device_system_status") == [(-50, 1, 1)]


async def test_a_recreated_journal_is_newer_than_the_one_before(store, query):
    """Its sequences start at 1 again; its creation is later."""
    await store.write(plan(units(900, status(-40)), JOURNAL))
    await store.write(plan(units(1, status(-50)), JOURNAL + 1))
    assert query("SELECT rssi FROM device_system_status") == [(-50,)]


async def test_a_retained_report_counts_only_where_nothing_is_known(store, query):
    """A broker sends retained messages whenever ingest subscribes, so they are no news. Each kind counts by itself."""
    await store.write(plan(units(1, status(-40)), JOURNAL))
    counts = await store.write(
        plan([*units(2, status(-90, retained=True)), *units(3, config("a", retained=True))], JOURNAL)
    )
    assert query("SELECT rssi, ip FROM device_system_status") == [(-40, "a")]
    assert (counts.inserted, counts.updated, counts.replaced) == (0, 1, 1)
    await store.write(plan(units(4, config("b", retained=True)), JOURNAL))
    assert query("SELECT ip FROM device_system_status") == [("a",)]


async def test_null_erases_a_column_and_an_absent_field_does_not(store, query):
    """A device that says it does not know erases; one that says nothing does not."""
    await store.write(plan(units(1, status(-40, heapFreeKb=1, heapMinFreeKb=2)), JOURNAL))
    await store.write(plan(units(2, status(heapFreeKb=None)), JOURNAL))
    assert query("SELECT rssi, heap_free_kb, heap_min_free_kb FROM device_system_status") == [(-40, None, 2)]


async def test_a_slow_writer_does_not_overwrite_newer_states(journal, nats_server, migrated, query, shared_postgres):
    """Two writers share the consumer; the one with the older report is held up on the way to the database."""
    async with (
        proxied(shared_postgres.port) as proxy,
        running(settings_for(nats_server.url, through(migrated, proxy.port))),
    ):
        await journal.publish(config("10.0.0.1"))
        await eventually(journal.empty, "the slow writer started")
        proxy.stall()
        await journal.publish(status(-40, heapFreeKb=100))

        async def taken():
            return (await journal.js.consumer_info("TELEMETRY", "writer")).num_ack_pending == 1

        await eventually(taken, "the older report held by the slow writer")
        async with running(settings_for(nats_server.url, migrated)):

            async def overtaken():
                await journal.publish(status(-50, at=-60_000_000))
                return query("SELECT rssi FROM device_system_status") == [(-50,)]

            await eventually(overtaken, "a newer report written by the fast writer")
            proxy.flow()
            await eventually(journal.empty, "all acknowledged")
    assert query("SELECT rssi, ip FROM device_system_status") == [(-50, "10.0.0.1")]
