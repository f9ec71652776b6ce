"""A transaction is atomic: rows, states and ledger are committed together, or none of them."""

import psycopg
import pytest
from seve_writer.database.transaction import plan

from .conftest import BASE, envelope, units

TABLES = ("measurements", "device_system_status", "ledger")


@pytest.mark.parametrize("delivered", [1, 2], ids=["copy", "upsert"])
@pytest.mark.parametrize("states", [False, True], ids=["rows", "rows and states"])
async def test_nothing_is_stored_if_the_ledger_refuses(store, query, delivered, states):
    """By COPY and by upsert, with states and without."""
    query("ALTER TABLE ledger ADD CONSTRAINT none CHECK (received = 0)")
    told = units(1, envelope(), delivered=delivered)
    if states:
        told += units(2, envelope(kind="system.status", metadata={"rssi": -40}), delivered=delivered)
    with pytest.raises(psycopg.errors.CheckViolation):
        await store.write(plan(told, BASE), upsert=delivered > 1)
    assert [query(f"SELECT count(*) FROM {table}") for table in TABLES] == [[(0,)]] * 3


async def test_nothing_enters_the_ledger_if_a_table_refuses(store, query):
    """The ledger counts only stored envelopes."""
    query("ALTER TABLE measurements ADD CONSTRAINT sane CHECK (value < 1000)")
    for delivered in (1, 2):
        with pytest.raises(psycopg.errors.CheckViolation):
            await store.write(plan(units(1, envelope(value=5000), delivered=delivered), BASE), upsert=delivered > 1)
    assert [query(f"SELECT count(*) FROM {table}") for table in TABLES] == [[(0,)]] * 3
