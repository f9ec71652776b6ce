"""When a batch is due and what it holds, with plain values."""

import pytest
from seve_schema.device_reports import SensorStatus
from seve_writer.decode import Ignored, JournalMessage, Report, Unit
from seve_writer.flush_rule import FLUSH_PACE, Waiting


def message(rows, sequence=1):
    message = JournalMessage("telemetry.a.measurement", b"", "", sequence, 1, 0)
    return [Unit(message, index, ("a", "co2", "", index, 1.0)) for index in range(rows)]


def waiting(*sizes, at=0.0):
    batch = Waiting(100, 5.0, 1000)
    for number, size in enumerate(sizes, 1):
        batch.add(message(size, number), at)
    return batch


def test_no_flush_is_due_without_waiting_rows():
    """No empty transactions."""
    assert waiting().due_in(1000) is None


def test_due_at_once_when_a_hundred_rows_wait():
    """Rows, not NATS messages: one message may carry them all."""
    assert waiting(99).due_in(0) == 5.0
    assert waiting(*[1] * 100).due_in(0) == 0
    assert waiting(100).due_in(0) == 0
    assert waiting(256).due_in(0) == 0


def test_due_five_seconds_after_the_oldest_row_arrived():
    """Later rows do not put it off."""
    batch = waiting(1, at=10.0)
    batch.add(message(1), 14.0)
    assert batch.due_in(14.5) == 0.5
    assert batch.due_in(15.0) == 0
    assert batch.due_in(99.0) == 0


def test_flushes_that_follow_each_other_begin_at_a_pace():
    """A hundred rows after a quiet time are written at once; those behind them share the next transaction."""
    batch = waiting(100, at=10.0)
    assert batch.due_in(10.0) == 0
    batch.take(10.0)
    batch.flushed()
    batch.add(message(100), 10.01)
    assert batch.due_in(10.01) == pytest.approx(FLUSH_PACE - 0.01)
    assert batch.due_in(10.0 + FLUSH_PACE) == 0


def test_the_pace_holds_back_neither_a_full_transaction_nor_a_row_that_is_due():
    """A backlog is written as fast as the database takes it; the interval is a promise."""
    batch = waiting(100)
    batch.take(0)
    batch.add(message(1000), 0.01)
    assert batch.due_in(0.01) == 0
    batch = Waiting(100, 0.02, 1000)
    batch.add(message(100), 0)
    batch.take(0)
    batch.add(message(100), 0.01)
    assert batch.due_in(0.03) == 0


def test_a_batch_carries_its_trigger():
    """Size, time, or the stop."""
    assert waiting(100).take(0).trigger == "size"
    assert waiting(1).take(0).trigger == "interval"
    assert waiting(1).take(0, stopping=True).trigger == "shutdown"


def test_a_flush_takes_everything_and_the_next_one_waits_its_own_time():
    """The interval of a row that arrives during a flush begins with its arrival."""
    batch = waiting(60, 60, at=1.0)
    assert len(batch.take(0).units) == 120
    batch.add(message(1), 2.0)
    assert batch.due_in(3.0) == 4.0


def test_more_than_a_batch_while_a_flush_runs_is_a_backlog():
    """The database was slower than the stream: the next flush takes them all, and says so."""
    batch = waiting(100)
    batch.take(0)
    for number in range(300):
        batch.add(message(1, number), FLUSH_PACE)
    batch.flushed()
    taken = batch.take(FLUSH_PACE)
    assert (taken.trigger, len(taken.units)) == ("backlog", 300)


def test_more_than_a_batch_that_the_pace_holds_back_is_no_backlog():
    """The database has done its part long before the next flush is due."""
    batch = waiting(100)
    batch.take(0)
    for number in range(300):
        batch.add(message(1, number), FLUSH_PACE / 2)
    batch.flushed()
    taken = batch.take(FLUSH_PACE)
    assert (taken.trigger, len(taken.units)) == ("size", 300)


def test_exactly_one_batch_during_a_flush_is_no_backlog():
    """A full batch alone does not mean that the database is too slow."""
    batch = waiting(100)
    batch.take(0)
    batch.add(message(100), 0)
    batch.flushed()
    assert batch.take(0).trigger == "size"


def test_one_large_message_is_no_backlog():
    """256 samples of one module at once do not mean that the database is too slow."""
    assert waiting(256).take(0).trigger == "size"


def test_a_batch_is_bounded_and_never_splits_a_message():
    """A message is acknowledged as a whole, so it is written as a whole, even if it is larger than BATCH_MAX."""
    batch = waiting(600, 300, 200, 5000, 1)
    assert [len(batch.take(0).units) for _ in range(4)] == [900, 200, 5000, 1]
    assert len(waiting(600, 400, 1).take(0).units) == 1000
    assert (batch.rows, batch.due_in(0)) == (0, None)


def test_a_backlog_larger_than_one_batch_continues():
    """The rows beyond BATCH_MAX are due at once, and still count as a backlog."""
    batch = waiting(100)
    batch.take(0)
    for _ in range(3):
        batch.add(message(1000), 0)
    batch.flushed()
    assert [(taken.trigger, len(taken.units)) for taken in (batch.take(0), batch.take(0))] == [("backlog", 1000)] * 2


def test_a_report_weighs_as_many_rows_as_it_names_sensors():
    """A batch of reports is no larger than one of samples: a device may name 256 sensors in each."""
    batch = Waiting(100, 5.0, 1000)
    body = {f"s{number}": SensorStatus(status="ok") for number in range(256)}
    for sequence in range(1, 11):
        source = JournalMessage("telemetry.a.sensors.status", b"", "", sequence, 1, 0)
        batch.add([Unit(source, 0, Report("m", "2026-01-01T00:00:00Z", body))], 0.0)
    assert batch.rows == 2560
    assert [len(batch.take(0).units) for _ in range(4)] == [3, 3, 3, 1]
    assert batch.rows == 0


def test_an_envelope_without_a_table_counts_as_one_row():
    batch = Waiting(100, 5.0, 1000)
    source = JournalMessage("telemetry.a.other", b"", "", 1, 1, 0)
    batch.add([Unit(source, 0, Ignored()), Unit(source, 1, Report("m", "2026-01-01T00:00:00Z", {}))], 0.0)
    assert batch.rows == 2
