"""An answer and the stream behind its token together have each sample once, in any state of the writers.

Hypothesis generates stories: messages with samples, some with the same key; transactions of several writers, of which
some are committed, in any order; acknowledgements behind them; hourly aggregation in between. The service's own queries
run on PostgreSQL.
"""

import asyncio
from collections import Counter, defaultdict
from contextlib import asynccontextmanager

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import AsyncConnection, IsolationLevel
from seve_history.database.consistent_read import consistent_read
from seve_history.query.buckets import buckets
from seve_schema.position import Position
from seve_writer.database.rollup import roll_up

from .conftest import BASE, HOUR, Asker

JOURNALS = (BASE, BASE + 1000 * HOUR)
SENSORS = ("co2", "humidity")
END = BASE + 4 * HOUR

samples = st.tuples(st.sampled_from(SENSORS), st.integers(0, 23).map(lambda n: n * HOUR // 6))
messages = st.lists(st.lists(samples, min_size=1, max_size=3, unique=True), min_size=1, max_size=12)


@st.composite
def stories(draw):
    """Draw messages by sequence, events in order (transactions as sets of sequences, aggregations), and the last
    floor.
    """
    published = dict(enumerate(draw(messages), 1))
    writer = {sequence: draw(st.integers(0, 2)) for sequence in published}
    batch = {sequence: draw(st.integers(0, 3)) for sequence in published}
    transactions = defaultdict(set)
    for sequence in published:
        transactions[writer[sequence], batch[sequence]].add(sequence)
    order = draw(st.permutations(sorted(transactions)))
    committed = order[: draw(st.integers(0, len(order)))]
    events, stored = [], set()
    for name in committed:
        events.append(transactions[name])
        stored |= transactions[name]
        if draw(st.booleans()):
            events.append(draw(st.integers(0, reach(stored))))  # an aggregation with this floor
    return published, events, draw(st.integers(0, reach(stored)))


def reach(stored):
    """Return the last sequence up to which everything is stored."""
    return next(sequence for sequence in range(1, 100) if sequence not in stored) - 1


@pytest.fixture
def asker(laid_out):
    """Stores rows as writers do; sends no query over NATS."""
    one = Asker.__new__(Asker)
    one.url, one.connection = laid_out, psycopg.connect(laid_out, autocommit=True)
    yield one
    one.connection.close()


@asynccontextmanager
async def reading(url):
    connection = await AsyncConnection.connect(url)
    async with connection:
        await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
        yield connection


async def aggregate(url, journal, floor):
    async with await AsyncConnection.connect(url) as connection:
        await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
        async with connection.transaction():
            await roll_up(connection, Position(journal, floor))


async def answered(url, journal, floor):
    """Return the position, and the samples, hours and number of values of each series in an answer."""
    async with reading(url) as connection, consistent_read(connection, journal, floor, 10) as opened:
        raw, hours, counts = {}, {}, {}
        for name in await opened.series("croissance", 10):
            raw[name[0]] = await opened.raw("croissance", name, BASE, END, 1000)
            hours[name[0]] = await opened.buckets("croissance", name, buckets(BASE, END, 4, at_least=3600))
            counts[name[0]] = (await opened.extent("croissance", name))[2]
        return opened.position, raw, hours, counts


def empty(asker):
    asker.query("TRUNCATE measurements, measurements_hourly, ledger, journals")
    asker.query("UPDATE rollup SET position = 0, horizon = NULL")


@given(stories())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_every_sample_comes_once(asker, story):
    published, events, floor = story
    journal = JOURNALS[0]
    empty(asker)
    stored = set()
    for event in events:
        if isinstance(event, int):
            asyncio.run(aggregate(asker.url, journal, event))
        else:
            stored |= event
            rows = [(n, sensor, at, n) for n in sorted(event) for sensor, at in published[n]]
            asker.commit(journal, rows)
    position, raw, hours, counts = asyncio.run(answered(asker.url, journal, floor))

    assert position == (journal, reach(stored))
    newest = {}
    for sequence in sorted(stored):
        newest |= dict.fromkeys(published[sequence], sequence)
    expected = {sample: sequence for sample, sequence in newest.items() if sequence <= position.sequence}
    assert {(sensor, at * 1000 - BASE): value for sensor, points in raw.items() for at, value in points} == expected, (
        "the newest of each key, up to the position"
    )
    streamed = {sample for sequence, those in published.items() if sequence > position.sequence for sample in those}
    everything = {sample for those in published.values() for sample in those}
    assert set(expected) | streamed == everything, "nothing is missing"

    for sensor, points in raw.items():
        in_hours = Counter((at * 1000 - BASE) // HOUR for at, _ in points)
        assert {(at * 1000 - BASE) // HOUR: count for at, _, _, _, count in hours[sensor]} == in_hours
        for at, low, high, mean, count in hours[sensor]:
            values = [value for time, value in points if at <= time < at + 3_600_000]
            assert (low, high) == (min(values), max(values))
            assert mean == pytest.approx(sum(values) / count)
        assert counts[sensor] == len(points)


def test_a_hole_that_will_never_be_filled_ends_no_answer(asker):
    """The lost messages lie below the acknowledgement floor: the journal will not deliver them."""
    empty(asker)
    asker.commit(BASE, [(n, "co2", n, n) for n in (1, 2, 5, 6)])
    assert asyncio.run(answered(asker.url, BASE, 2))[0].sequence == 2
    assert asyncio.run(answered(asker.url, BASE, 4))[0].sequence == 6


def test_samples_of_a_journal_before_are_in_every_answer(asker):
    """At whatever position of it. The token is the beginning of the new journal, of which nothing is stored yet."""
    empty(asker)
    asker.commit(BASE, [(n, "co2", n * HOUR // 6, n) for n in (1, 2, 20)])
    asyncio.run(aggregate(asker.url, BASE, 2))
    newer = JOURNALS[1]
    position, raw, _, _ = asyncio.run(answered(asker.url, newer, 0))
    assert (position, len(raw["co2"])) == ((newer, 0), 3)
    asker.commit(newer, [(n, "co2", n * HOUR // 6 + 1_000_000, n) for n in (1, 3)])
    position, raw, hours, counts = asyncio.run(answered(asker.url, newer, 0))
    assert (position, len(raw["co2"]), counts["co2"]) == ((newer, 1), 4, 4)
    assert sum(count for *_, count in hours["co2"]) == 4


def test_samples_of_earlier_versions_are_in_every_answer(asker):
    empty(asker)
    asker.query("INSERT INTO measurements VALUES ('2025-11-30T19:30Z', 'croissance', 'co2', '', 7)")
    asker.commit(BASE, [(5, "co2", 0, 1)])
    _, raw, hours, _ = asyncio.run(answered(asker.url, BASE, 0))
    assert [value for _, value in raw["co2"]] == [7]
    assert [count for *_, count in hours["co2"]] == [1]
