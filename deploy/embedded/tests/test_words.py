"""Texts for people: tables, the page at the end of `up`, frames in one line."""

import json

import pytest
from seve_embedded import plan
from seve_embedded.logins import Logins
from seve_embedded.settings import StackSettings
from seve_embedded.shared import pubsub, welcome
from seve_embedded.shared.tables import duration, size, table
from seve_runtime.settings import Secret

LOGINS = Logins.of(lambda name: f"{name}/@pw", "seve-ingest-0123456789abcdef")


def page(networks=("192.168.1.7",), **settings):
    chosen = StackSettings(**settings)
    found = plan.addresses(chosen, LOGINS)
    programs = plan.programs(chosen, LOGINS, python="python", postgres=["pg"], nats=["nats"])
    whole = plan.Plan(
        programs=programs, addresses=found, listeners=[], stream_bytes=1, writers=chosen.writers, dotenv=""
    )
    return welcome.text(
        whole.rows,
        mqtt=found.mqtt,
        listen=chosen.mqtt_listen,
        username=chosen.mqtt_username,
        own=chosen.mqtt_devices == "own",
        networks=list(networks),
    )


def test_the_page_has_lines_to_copy():
    """One to watch, one to publish, with the actual ports."""
    text = page(mqtt_listen="127.0.0.1:21883")
    assert "./seve watch croissance" in text
    assert """./seve publish croissance/co2 '{"value": 450.5}'""" in text
    assert """mosquitto_pub -h 127.0.0.1 -p 21883 -q 1 -t croissance/co2 -m '{"value": 450.5}'""" in text


def test_the_page_shows_no_password():
    """Terminals are recorded, and others see them."""
    text = page(
        mqtt_listen=":1883", mqtt_allow_unencrypted=True, mqtt_username="device", mqtt_password=Secret("hunter2")
    )
    assert not [word for word in ("hunter2", "nats-pw", "broker-pw", "db-pw") if word in text]


def test_the_page_says_how_a_device_connects_once_mqtt_is_open():
    """With the machine's own address."""
    text = page(
        mqtt_listen="0.0.0.0:1884", mqtt_allow_unencrypted=True, mqtt_username="device", mqtt_password=Secret("x")
    )
    assert "connect to 192.168.1.7, port 1884 (user device" in text
    assert "cannot connect yet" in page()
    opened = {"mqtt_listen": "0.0.0.0:1884", "mqtt_allow_unencrypted": True}
    assert "anybody may publish" in page(**opened, mqtt_allow_anonymous=True)
    assert "port 1884 (each with its own user" in page(**opened, mqtt_devices="own")


def test_a_table_aligns_its_columns():
    """Numbers to the right, words to the left, no trailing blanks."""
    assert table("Stored", ["table", "rows"], [["ledger", "7"], ["measurements", "1,000"]]) == (
        "Stored\n  table          rows\n  ────────────  ─────\n  ledger            7\n  measurements  1,000"
    )


def test_a_table_without_rows_is_nothing():
    """Not even its title is shown."""
    assert table("Dead letters", ["subject", "messages"], []) == ""


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (2 << 30, "2.0 GiB")])
def test_sizes_for_people(count, text):
    """Binary units, as the settings have them."""
    assert size(count) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0s"), (61, "1m 1s"), (7260, "2h 1m"), (90000, "1d 1h")])
def test_durations_for_people(seconds, text):
    """The two largest units."""
    assert duration(seconds) == text


def test_a_frame_is_one_line():
    """A measurement with its value, other messages with their body, other frames unchanged."""
    data = {"topic": "a/co2", "time": "T", "kind": "measurement", "value": 450.5, "metadata": None}
    status = {"topic": "a/system", "time": "T", "kind": "system.status", "value": None, "metadata": {"rssi": -45}}
    assert pubsub.line(json.dumps({"event": "mqtt-message", "seq": "1", "data": data})) == "T  a/co2  450.5"
    assert pubsub.line(json.dumps({"event": "mqtt-batch", "data": [data, status]})) == (
        'T  a/co2  450.5\nT  a/system  {"rssi": -45}'
    )
    assert pubsub.line('{"event":"live"}') == '{"event": "live"}'


def test_text_of_a_device_sends_no_control_characters_to_the_terminal():
    """In topics, values and names of a frame."""
    data = {"topic": "odd\x1b[31m/co2\n", "time": "T", "kind": "log", "value": None, "metadata": {"text": "\x9b31m"}}
    frame = json.dumps({"event": "mqtt-message", "seq": "1", "data": data})
    assert pubsub.line(frame) == 'T  odd\\u001b[31m/co2\\u000a  {"text": "\\u009b31m"}'
    assert pubsub.line('{"event":"silent","module":"\\u009b2J"}') == '{"event": "silent", "module": "\\u009b2J"}'
