"""A transaction is one: rows, states and ledger are there together, or none of them."""

import psycopg
import pytest
from seve_writer.database.transaction import plan

from .conftest import BASE, envelope, units

TABLES = ("measurements", "device_system_status", "ledger")


@pytest.mark.parametrize("delivered", [1, 2], ids=["copy", "upsert"])
@pytest.mark.parametrize("states", [False, True], ids=["rows", "rows and states"])
async def test_what_the_ledger_does_not_take_is_not_stored(store, query, delivered, states):
    """By COPY and by upsert, with states and without."""
    query("ALTER TABLE ledger ADD CONSTRAINT none CHECK (received = 0)")
    told = units(1, envelope(), delivered=delivered)
    if states:
        told += units(2, envelope(kind="system.status", metadata={"rssi": -40}), delivered=delivered)
    with pytest.raises(psycopg.errors.CheckViolation):
        await store.write(plan(told, BASE), upsert=delivered > 1)
    assert [query(f"SELECT count(*) FROM {table}") for table in TABLES] == [[(0,)]] * 3


async def test_what_the_tables_do_not_take_is_not_in_the_ledger(store, query):
    """The ledger counts what is stored."""
    query("ALTER TABLE measurements ADD CONSTRAINT sane CHECK (value < 1000)")
    for delivered in (1, 2):
        with pytest.raises(psycopg.errors.CheckViolation):
            await store.write(plan(units(1, envelope(value=5000), delivered=delivered), BASE), upsert=delivered > 1)
    assert [query(f"SELECT count(*) FROM {table}") for table in TABLES] == [[(0,)]] * 3
