"""What devices really send, from MQTT to the row: a few of the rules, to see that they hold end to end."""

import json

import pytest
from support.conditions import wait_until

TIME = "2025-11-30T19:00:00Z"
VALUES = "SELECT value FROM measurements WHERE module_id = %s"


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        ('{"value": "450,5"}', 450.5),
        ('" 21.25 "', 21.25),
        ("ON", 1),
        ('{"value": ""}', None),
        ("", "cleared"),
        ("nan", None),
        ('{"value": 1e999}', None),
        ('{"time": "2025-11-30T19:00:00Z"}', None),
    ],
)
def test_a_value_is_repaired_or_becomes_null(stack, publish, module, payload, value):
    """And a zero-length payload, which clears a retained message, is no sample at all."""
    publish(f"{module}/first", payload)
    publish(f"{module}/second", "7")
    wait_until(lambda: (7.0,) in stack.query(VALUES, module), "the message after it")
    rows = [value for (value,) in stack.query(VALUES + " AND sensor_type = 'first'", module)]
    assert ([] if value == "cleared" else [value]) == rows


@pytest.mark.parametrize("time", ["2025-11-30T20:00:00+01:00", 1764529200, "1764529200000", 1764529200000])
def test_a_time_in_any_form_is_the_same_moment(stack, publish, module, time):
    publish(f"{module}/co2", json.dumps({"value": 1, "time": time}))
    sql = "SELECT extract(epoch FROM time)::bigint FROM measurements WHERE module_id = %s"
    wait_until(lambda: stack.query(sql, module) == [(1764529200,)], "the sample at its moment")


def test_types_that_do_not_fit_are_converted_or_become_null(stack, publish, module):
    """A number where text belongs, text where a number belongs, an integer outside its column."""
    body = {
        "ip": 42,
        "uptimeStart": "12",
        "flash": {"usedKb": 10**12, "freeKb": "7"},
        "memory": {"heapTotalKb": "many"},
    }
    publish(f"{module}/system/config", json.dumps(body))
    sql = """SELECT ip, uptime_start, flash_used_kb, flash_free_kb, heap_total_kb
             FROM device_system_status WHERE module_id = %s"""
    wait_until(lambda: stack.query(sql, module) == [("42", 12, None, 7, None)], "the converted row")


def test_the_same_sample_twice_is_one_row_with_the_later_value(stack, publish, module):
    """Series and time are the key."""
    publish(f"{module}/co2", json.dumps({"value": 1, "time": TIME}))
    wait_until(lambda: stack.query(VALUES, module) == [(1.0,)], "the first")
    publish(f"{module}/co2", json.dumps({"value": 2, "time": TIME}))
    wait_until(lambda: stack.query(VALUES, module) == [(2.0,)], "the second in its place")


def test_samples_of_one_moment_without_a_time_are_all_kept(stack, publish, module):
    """Times of receipt never repeat."""
    for value in range(50):
        publish(f"{module}/co2", str(value))
    wait_until(lambda: len(stack.query(VALUES, module)) == 50, "all fifty")
    assert list(range(50)) == [value for (value,) in stack.query(VALUES + " ORDER BY time", module)]


def dead_letters(stack, topic):
    letters = [json.loads(message) for message in stack.stream_messages("DEADLETTER", "deadletter.ingest.>")]
    return [letter for letter in letters if letter["topic"] == topic]


@pytest.mark.parametrize(
    ("suffix", "payload", "reason"),
    [
        ("co2", '{"value": 4', "malformed"),
        ("system", "not json", "malformed"),
        ("co2", '{"value": 1, "metadata": "' + "x" * 262_144 + '"}', "too_large"),
        ("x" * 129, "1", "bad_topic"),
    ],
    ids=["cut short", "no json", "too large", "long level"],
)
def test_unusable_messages_are_kept_with_their_reason(stack, publish, module, suffix, payload, reason):
    """It reaches the dead-letter stream, and its neighbours are stored."""
    topic = f"{module}/{suffix}"
    publish(topic, payload)
    publish(f"{module}/light", "7")
    wait_until(lambda: stack.query(VALUES, module) == [(7.0,)], "the neighbour")
    wait_until(lambda: dead_letters(stack, topic), "the dead letter")
    (letter,) = dead_letters(stack, topic)
    assert ("ingest", reason, len(payload)) == (letter["service"], letter["reason"], letter["size"])
