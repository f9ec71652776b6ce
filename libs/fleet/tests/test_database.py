"""Rows of a run, and no others, are counted through a connection or a command."""

import psycopg
import pytest
from seve_fleet.simulate.database import CommandDatabase, RunRows, Unreachable, UrlDatabase

TABLE = """CREATE TABLE measurements (time timestamptz,
module_id text, sensor_type text, hardware_id text, value float8);
INSERT INTO measurements VALUES ('2025-11-30T19:00:00.000001Z', 'sim-1-000', 'co2', '', 1),
('2025-11-30T19:00:00Z', 'sim-1-000', 'humidity', 'dht22', 2), ('2025-11-30T19:00:00Z', 'serre', 'co2', '', 3)"""


async def test_only_the_modules_of_the_run_count(database_url):
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(TABLE)
    stored = RunRows(UrlDatabase(database_url), ["sim-1-000", "sim-1-001"])
    assert await stored.samples() == 2
    assert {("sim-1-000/co2", 1_764_529_200_000_001), ("sim-1-000/dht22/humidity", 1_764_529_200_000_000)} == set(
        await stored.keys()
    )


async def test_a_command_answers_in_place_of_a_connection():
    """It gets the statement and prints rows as psql does."""
    assert await CommandDatabase("cat >/dev/null; echo 'sim-1-000|42'").rows("SELECT") == [["sim-1-000", "42"]]
    assert await RunRows(CommandDatabase("grep -c sim-1-000 | sed s/1/5/"), ["sim-1-000"]).samples() == 5


@pytest.mark.parametrize("database", [UrlDatabase("postgresql://127.0.0.1:1/none"), CommandDatabase("exit 3")])
async def test_a_database_that_does_not_answer_is_unreachable(database):
    with pytest.raises(Unreachable):
        await database.rows("SELECT 1")


def test_a_name_that_could_be_sql_is_refused():
    with pytest.raises(ValueError, match="not the name"):
        RunRows(CommandDatabase("true"), ["x'; DROP TABLE measurements; --"])
