"""Journal messages become rows, reports or unreadable units; units become a transaction, and rows the bytes of a
COPY.
"""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seve_schema.codec import encode, join
from seve_schema.subjects import telemetry_subject
from seve_schema.times import format_time
from seve_writer.database.device_state import Patch
from seve_writer.database.sql import copy_data
from seve_writer.database.transaction import LedgerCounts, plan
from seve_writer.decode import IGNORED, JournalMessage, Report, Unreadable, micros, read, read_message, received_at

from .conftest import BASE, envelope

RECEIVED = format_time(BASE)


def message(*envelopes, sequence=1, delivered=1):
    subject = telemetry_subject("0a1b2c3d", envelopes[0].kind)
    return read(JournalMessage(subject, join(map(encode, envelopes)), "", sequence, delivered, 0))


def contents(subject, data):
    return [unit.content for unit in read(JournalMessage(subject, data, "", 1, 1, 0))]


def test_a_measurement_becomes_a_row():
    """A missing hardware is the empty text, as the key wants it; null stays null."""
    first, second = message(envelope(value=None, at=7), envelope(hardware_id="dht22"))
    assert first.content == ("croissance", "co2", "", BASE + 7, None)
    assert second.content == ("croissance", "co2", "dht22", BASE, 450.5)
    assert [first.index, second.index] == [0, 1]


def test_kinds_without_a_table_are_counted_not_decoded():
    """One unit per envelope, whatever it contains."""
    assert contents("telemetry.a.other", b'[{"x":1},7]') == [IGNORED, IGNORED]


@pytest.mark.parametrize(
    ("body", "columns"),
    [
        ({"level": "warn", "msg": "slow", "time": 7}, {"level": "warn", "message": "slow"}),
        ({"msg": "words"}, {"level": None, "message": "words"}),
        ({"level": 3, "msg": "words"}, {"level": None, "message": "words"}),
        ({"level": "x" * 99, "msg": ""}, {"level": "x" * 32, "message": ""}),
        ({"level": "info", "tag": "wifi"}, {"level": "info", "message": '{"level":"info","tag":"wifi"}'}),
        ({"msg": "a", "tag": "wifi"}, {"level": None, "message": '{"msg":"a","tag":"wifi"}'}),
        ({"msg": ["a"]}, {"level": None, "message": '{"msg":["a"]}'}),
        (None, {"level": None, "message": "{}"}),
    ],
)
def test_a_log_line_keeps_everything_that_the_device_sent(body, columns):
    """Level and text if the body has no other fields, else the whole body."""
    place = (BASE, 4, 0)
    columns |= {"time": RECEIVED}
    assert plan(message(envelope(kind="log", metadata=body), sequence=4), BASE).rounds == [
        [Patch("device_logs", ("croissance", place), "position", place, False, RECEIVED, columns)]
    ]


def test_lines_of_one_log_never_replace_each_other():
    """Not even equal lines: each has its own place."""
    lines = [envelope(kind="log", metadata={"msg": "again"}) for _ in range(3)]
    assert [len(each) for each in plan(message(*lines), BASE).rounds] == [3]


@pytest.mark.parametrize(
    ("subject", "data"),
    [
        ("telemetry.a.measurement", b""),
        ("telemetry.a.measurement", b"{"),
        ("telemetry.a.measurement", b"[]"),
        ("telemetry.a.measurement", b'[{"moduleId":"a","sensorType":"b","time":"yesterday"}]'),
        ("telemetry.a.measurement", b'[{"moduleId":"a","sensorType":"b","time":"2025-11-30T19:00:00"}]'),
        ("telemetry.a.measurement", b'[{"moduleId":"a","time":"2025-11-30T19:00:00.000000Z"}]'),
        ("telemetry.a.measurement", b'[{"moduleId":"\\ud800","sensorType":"b","time":"2025-11-30T19:00:00.000000Z"}]'),
        ("telemetry.a.system.status", b'[{"moduleId":"a","receivedAt":"2025-11-30T19:00:00.000000Z","metadata":[]}]'),
        ("telemetry.a.system.status", b'[{"moduleId":"a","receivedAt":"never","metadata":{}}]'),
        ("telemetry.a.log", b"nothing"),
        ("telemetry.a.nonsense", b"[{}]"),
        ("elsewhere", b"[{}]"),
    ],
)
def test_an_unreadable_message_is_one_unit_with_its_bytes(subject, data):
    """Nothing raises, nothing disappears."""
    (content,) = contents(subject, data)
    assert isinstance(content, Unreadable)
    assert content.raw in data
    assert content.error


@given(st.binary(max_size=200))
def test_any_bytes_yield_at_least_one_unit(data):
    """Nothing raises; a message without a unit would never be acknowledged."""
    assert contents("telemetry.a.measurement", data)
    assert contents("telemetry.a.sensors.config", data)


@given(st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999))
def test_times_are_read_as_they_are_written(moment):
    """The fast path returns the same as the standard library."""
    if moment >= -30_610_224_000_000_000:  # the year 1000: from there on years have four digits
        assert micros(format_time(moment)) == moment


def test_times_of_another_form_are_read_too():
    """A foreign publisher may write fewer decimals or an offset."""
    assert micros("2025-11-30T19:00:00Z") == BASE
    assert micros("2025-11-30T20:00:00.5+01:00") == BASE + 500_000


def test_a_message_tells_when_its_first_envelope_was_received():
    """A topic or a body that contains the field's name is not mistaken for it; other bytes have the journal's time."""
    first = envelope(topic='a/"receivedAt":"2020-01-01T00:00:00.000000Z"', metadata={"receivedAt": "2021"})
    data = join([encode(first), encode(envelope(at=9))])
    assert received_at(JournalMessage("telemetry.a.measurement", data, "", 1, 1, 0)) == micros(first.received_at)
    for other in (b"", b"[]", b'[{"receivedAt": "2025"}]', b'[{"receivedAt":"2025'):
        assert received_at(JournalMessage("telemetry.a.measurement", other, "", 1, 1, 7_000)) == 7


def test_an_acknowledgement_subject_has_sequence_and_delivery_count():
    """With and without a JetStream domain."""
    plain = read_message("s", "$JS.ACK.TELEMETRY.writer.2.345.400.1764529200000000000.7", b"")
    remote = read_message("s", "$JS.ACK.hub.account.TELEMETRY.writer.2.345.400.1764529200000000000.7.random", b"")
    for message in (plain, remote):
        assert (message.sequence, message.delivered, message.stored_ns) == (345, 2, 1764529200000000000)
    with pytest.raises(ValueError, match="not delivered by a consumer"):
        read_message("s", "_INBOX.x", b"")


def test_keys_of_a_batch_are_unique_and_sorted():
    """A key twice: the later journal position wins, whatever order it arrived in, and the other is replaced."""
    made = plan([*message(envelope(value=2), sequence=9), *message(envelope("a"), envelope(value=1), sequence=3)], BASE)
    assert [(row[0], row[4]) for row in made.rows] == [("a", 450.5), ("croissance", 2.0)]
    assert LedgerCounts(replaced=1) == made.counts


def test_the_ledger_names_the_messages_that_ended():
    """In ranges. A message that is split over two transactions is named by the one that has its end."""
    units = [unit for sequence in (1, 2, 3, 7) for unit in message(envelope(), envelope(at=1), sequence=sequence)]
    assert plan(units, BASE).sequences == ((1, 3), (7, 7))
    assert plan(units[:3], BASE, ending=False).sequences == ((1, 1),)
    assert plan(units, BASE, unsettled={2}).sequences == ((1, 1), (3, 3), (7, 7))


def test_every_envelope_has_one_outcome():
    """The sum of the others is what was received."""
    units = [
        *message(envelope(), envelope(), sequence=1),
        *message(envelope(kind="log", metadata={"msg": "a"}), sequence=2),
        *message(envelope(kind="other"), sequence=5),
        *message(envelope(kind="sensors.status", metadata={}), sequence=3),
    ]
    made = plan(units, BASE)
    assert (made.counts.replaced, made.counts.ignored, made.reports) == (1, 2, 1)
    assert len(made.rows) + made.reports + made.counts.received == len(units)


def test_a_redelivered_message_is_written_as_an_upsert():
    """Its rows may exist already."""
    assert not plan(message(envelope()), BASE).redelivered
    assert plan(message(envelope(), delivered=2), BASE).redelivered


def test_copy_data_has_postgresqls_binary_format():
    """A header, a row of six fields, a row with a null, the end."""
    data = copy_data([("é", "co2", "", BASE, 1.5, 3), ("a", "b", "c", BASE, None, 4)], 1 << 48)
    header, rows = data[:19], data[19:]
    assert header == b"PGCOPY\n\xff\r\n\x00" + bytes(8)
    epoch = BASE - 946_684_800_000_000
    first = struct.pack("!hi2si3siiqidiq", 6, 2, "é".encode(), 3, b"co2", 0, 8, epoch, 8, 1.5, 8, 3 + (1 << 48))
    second = struct.pack("!hi1si1si1siqiiq", 6, 1, b"a", 1, b"b", 1, b"c", 8, epoch, -1, 8, 4 + (1 << 48))
    assert rows == first + second + b"\xff\xff"


def test_reports_keep_null_and_absent_apart():
    """Null erases a column, an absent field leaves it."""
    (unit,) = message(envelope(kind="system.status", metadata={"rssi": None}))
    assert isinstance(unit.content, Report)
    assert unit.content.metadata.rssi is None
    assert unit.content.metadata.memory is not None
