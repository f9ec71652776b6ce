"""Rows that the tables refuse: each becomes a dead letter with its reason, and the rows beside it are stored."""

import random
import string
from collections import Counter
from contextlib import asynccontextmanager

import pytest
from seve_runtime.nats import topology
from seve_schema.codec import encode, join
from seve_schema.deadletter import JournalDeadLetter, WriterDeadLetter, decode_deadletter
from seve_schema.position import Position
from seve_schema.subjects import telemetry_subject
from seve_schema.times import to_micros
from support.conditions import eventually

from .conftest import envelope

SOON_AGAIN = topology.TopologySettings(ack_wait=1.0)
"""An unacknowledged message is delivered again after a second."""

POISON = (3, 64, 65, 4999, 7000, 9998, 9999)
"""Scattered, neighbours, and the last."""


async def test_seven_refused_rows_of_ten_thousand_become_dead_letters(journal, writer, query):
    """9,993 rows, seven dead letters with the right envelope, SQLSTATE and id, and no message delivered twice. Once the
    cause is gone, the envelopes of the dead letters can be stored as they are.
    """
    query("ALTER TABLE measurements ADD CONSTRAINT sane CHECK (value < 1000)")
    for number in range(10_000):
        value = 5000.0 + number if number in POISON else number % 100
        await journal.publish(envelope(f"module-{number % 7}", at=number * 1000, value=value))
    async with writer(batch_size=100):
        await eventually(journal.empty, "all acknowledged", seconds=60)
        stored = await journal.deadletters()
        letters = [decode_deadletter(message.data) for message in stored]
        assert [5000.0 + number for number in POISON] == sorted(letter.envelope.value for letter in letters)
        assert Counter({"23514": 7}) == Counter(letter.sqlstate for letter in letters)
        assert {"deadletter.writer.23514"} == {message.subject for message in stored}
        created = to_micros((await journal.js.stream_info("TELEMETRY")).created)
        assert {f"{Position(created, number + 1)}:0" for number in POISON} == {
            message.headers["Nats-Msg-Id"] for message in stored
        }
        assert query("SELECT count(*) FROM measurements") == [(9993,)]
        assert query(
            "SELECT sum(received)::int, sum(inserted)::int, sum(updated)::int, sum(dead)::int FROM ledger"
        ) == [(10_000, 9_993, 0, 7)]
        assert query("SELECT range_agg(sequences)::text FROM ledger") == [("{[1,10001)}",)]
        consumer = await journal.js.consumer_info("TELEMETRY", "writer")
        assert (consumer.delivered.consumer_seq, consumer.num_redelivered) == (10_000, 0)

        query("ALTER TABLE measurements DROP CONSTRAINT sane")
        for letter in letters:
            await journal.publish(letter.envelope)
        await eventually(journal.empty, "the retried acknowledged")
    assert query("SELECT count(*) FROM measurements") == [(10_000,)]


async def test_a_bad_envelope_affects_no_other_of_its_message(journal, writer, query):
    """Its other rows are stored, the bad one is a dead letter, and the NATS message is acknowledged once."""
    query("ALTER TABLE measurements ADD CONSTRAINT sane CHECK (value < 1000)")
    sequence = await journal.publish(*(envelope(at=number, value=5000 if number == 3 else 1) for number in range(8)))
    async with writer():
        await eventually(journal.empty, "acknowledged")
    assert query("SELECT count(*) FROM measurements") == [(7,)]
    (letter,) = [decode_deadletter(message.data) for message in await journal.deadletters()]
    assert (letter.envelope.value, letter.index) == (5000, 3)
    named = query("SELECT sequences::text, received FROM ledger WHERE NOT isempty(sequences)")
    assert [f"{{[{sequence},{sequence + 1})}}"] == [sequences for sequences, _ in named]


LONG = "".join(random.Random(7).choices(string.ascii_letters, k=8000))
"""Too long for an index even when PostgreSQL has compressed it."""


@pytest.mark.parametrize(("name", "sqlstate"), [(LONG, "54000"), ("nul\x00", "22021")], ids=["too long", "NUL"])
async def test_a_value_that_no_table_accepts_is_the_rows_fault(journal, writer, query, name, sqlstate):
    """Ingest publishes no such value, but another publisher on the journal cannot stop the writer."""
    await journal.publish(envelope(at=1), envelope(at=2, sensor=name), envelope(at=3))
    async with writer():
        await eventually(journal.empty, "acknowledged")
    assert query("SELECT count(*) FROM measurements") == [(2,)]
    assert [sqlstate] == [decode_deadletter(message.data).sqlstate for message in await journal.deadletters()]


async def test_a_report_that_its_table_refuses_is_one_dead_letter(journal, writer, query):
    """States and rows share a transaction; after a failure the batch is halved until they are separate."""
    query("ALTER TABLE device_system_status ADD CONSTRAINT near CHECK (rssi > -100)")
    for number, rssi in enumerate((-40, -120, -60)):
        await journal.publish(envelope(f"module-{number}", "system.status", metadata={"rssi": rssi}))
        await journal.publish(envelope(f"module-{number}"))
    async with writer():
        await eventually(journal.empty, "acknowledged")
    assert query("SELECT module_id, rssi FROM device_system_status ORDER BY 1") == [
        ("module-0", -40),
        ("module-2", -60),
    ]
    assert query("SELECT count(*) FROM measurements") == [(3,)]
    (letter,) = [decode_deadletter(message.data) for message in await journal.deadletters()]
    assert (letter.envelope.kind, letter.envelope.metadata) == ("system.status", {"rssi": -120})


async def test_unreadable_bytes_are_kept_as_a_dead_letter(journal, writer, query):
    """A foreign publisher on the journal's subjects cannot stop the writer, and its bytes are kept."""
    subject = telemetry_subject("0a1b2c3d", "measurement")
    good = encode(envelope())
    await journal.js.publish(subject, b"not json")
    await journal.js.publish(subject, join([b'{"moduleId": 7}', good]))
    await journal.js.publish(subject, b"[]")
    await journal.js.publish("telemetry.croissance.nonsense", b"[{}]")
    async with writer():
        await eventually(journal.empty, "acknowledged")
    assert query("SELECT value FROM measurements") == [(450.5,)]
    letters = [decode_deadletter(message.data) for message in await journal.deadletters()]
    assert {JournalDeadLetter} == {type(letter) for letter in letters}
    assert [letter.payload for letter in letters] == [b"not json", b'{"moduleId": 7}', b"[]", b"[{}]"]
    assert query("SELECT sum(received)::int, sum(inserted)::int, sum(dead)::int FROM ledger") == [(5, 1, 4)]


async def test_an_error_of_unknown_cause_is_isolated_after_a_few_attempts(journal, writer, query):
    """A trigger of the operator raises an unknown error: its row is a dead letter, the others are stored."""
    query(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NEW.value = 666 THEN RAISE EXCEPTION 'not this one'; END IF; RETURN NEW; END $$"
    )
    query("CREATE TRIGGER refuse BEFORE INSERT ON measurements FOR EACH ROW EXECUTE FUNCTION refuse()")
    await journal.publish(envelope(at=1), envelope(at=2, value=666))
    async with writer():
        await eventually(journal.empty, "acknowledged")
    assert query("SELECT value FROM measurements") == [(450.5,)]
    (letter,) = [decode_deadletter(message.data) for message in await journal.deadletters()]
    assert isinstance(letter, WriterDeadLetter)
    assert (letter.sqlstate, "not this one" in letter.error) == ("P0001", True)


@asynccontextmanager
async def troubled(journal, trouble):
    """Make the dead-letter stream refuse messages, or not answer."""
    if trouble == "full":
        full = (await journal.js.stream_info("DEADLETTER")).config.evolve(discard="new", max_bytes=1)
        await journal.js.update_stream(full)
        yield
    else:
        await journal.js.delete_stream("DEADLETTER")
        silence = await journal.client.subscribe("deadletter.>")
        yield
        await silence.unsubscribe()
    await topology.apply(journal.js, SOON_AGAIN)


@pytest.mark.parametrize("trouble", ["full", "silent"])
async def test_unconfirmed_dead_letters_hold_no_other_message_back(journal, writer, query, trouble):
    """Other messages are stored and acknowledged. The messages of unconfirmed dead letters are neither acknowledged nor
    in the ledger until NATS confirms the dead letters.
    """
    query("ALTER TABLE measurements ADD CONSTRAINT sane CHECK (value < 1000)")
    await topology.apply(journal.js, SOON_AGAIN)
    await journal.publish(envelope())
    async with writer(batch_size=1, ack_wait="1s"):
        await eventually(journal.empty, "the first acknowledged")
        async with troubled(journal, trouble):
            await journal.publish(envelope(at=1), envelope(at=2, value=5000), envelope(at=3))
            await journal.js.publish(telemetry_subject("0a1b2c3d", "measurement"), b"not json")
            for at in range(4, 9):
                await journal.publish(envelope(at=at))

            async def two_wait():
                consumer = await journal.js.consumer_info("TELEMETRY", "writer")
                return (consumer.num_pending, consumer.num_ack_pending, consumer.num_redelivered > 0) == (0, 2, True)

            await eventually(two_wait, "all but two acknowledged, and those delivered again")
            assert query("SELECT count(*) FROM measurements") == [(8,)]
            assert query("SELECT range_agg(sequences)::text, sum(dead)::int FROM ledger") == [("{[1,2),[4,9)}", 0)]
        await eventually(journal.empty, "all acknowledged")
    assert len(await journal.deadletters()) == 2
    assert query("SELECT range_agg(sequences)::text, sum(dead)::int FROM ledger") == [("{[1,9)}", 2)]
    assert query("SELECT count(*) FROM measurements") == [(8,)]


async def test_a_redelivered_message_is_one_dead_letter(journal, writer, query):
    """A writer published it and could not commit the ledger row: the next writer's dead letter has the same id."""
    query("ALTER TABLE measurements ADD CONSTRAINT sane CHECK (value < 1000)")
    query("ALTER TABLE ledger ADD CONSTRAINT alive CHECK (dead = 0)")
    await journal.publish(envelope(value=5000))
    async with writer():

        async def published():
            return len(await journal.deadletters()) == 1

        await eventually(published, "the dead letter")
    assert await journal.waiting() == 1
    query("ALTER TABLE ledger DROP CONSTRAINT alive")
    async with writer():
        await eventually(journal.empty, "acknowledged")
    assert len(await journal.deadletters()) == 1
    assert query("SELECT received, dead FROM ledger") == [(1, 1)]
