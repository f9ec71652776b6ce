"""Examples of every rule of the normalisation."""

import pytest
from seve_ingest.mqtt.framing import MAX_PAYLOAD
from seve_schema.times import format_time
from support.rules import NOW, normalise, only, rules


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (b'{"value": 450.5, "time": "2025-11-30T19:00:00Z"}', 450.5),
        (b"450.5", 450.5),
        (b'{"value": 450}', 450.0),
        (b'{"value": ""}', None),
        (b'{"value": "  "}', None),
        (b"   ", None),
        (b"{}", None),
        (b'{"time": "2025-11-30T19:00:00Z"}', None),
        (b'{"value": null}', None),
        (b'{"value": "450.5"}', 450.5),
        (b'{"value": " 450,5 "}', 450.5),
        (b'"450.5"', 450.5),
        (b" 450,5 ", 450.5),
        (b"4.505e2", 450.5),
        (b"NaN", None),
        (b'{"value": NaN}', None),
        (b'{"value": "nan"}', None),
        (b'{"value": Infinity}', None),
        (b"-Infinity", None),
        (b"1e999", None),
        (b'{"value": 1e999}', None),
        (b'{"value": "1e999"}', None),
        (b'{"value": ' + b"9" * 400 + b"}", None),
        (b"warm", None),
        (b"null", None),
        (b'{"value": {"deep": 1}}', None),
        (b'{"value": [1]}', None),
        (b"true", 1.0),
        (b'{"value": false}', 0.0),
        (b"ON", 1.0),
        (b"off", 0.0),
        (b'{"value": "ON"}', 1.0),
        (b"\xef\xbb\xbf450.5", 450.5),
        (b'\xef\xbb\xbf{"value": 450.5}', 450.5),
        (b"1_000", None),
        (b"0x10", None),
    ],
)
def test_a_sample_becomes_a_finite_number_or_null(payload, value):
    """A number in a string becomes a number, a switch 1 or 0, anything else null."""
    assert value == only(normalise("croissance/co2", payload)).value


@pytest.mark.parametrize(
    ("payload", "repairs"),
    [
        (b'{"value": 450.5, "time": "2025-11-30T19:00:00Z"}', ()),
        (b'{"value": "450,5", "time": "2025-11-30T19:00:00Z"}', ("number_in_text",)),
        (b'{"value": NaN, "time": "2025-11-30T19:00:00Z"}', ("json_repaired", "not_a_number")),
        (b'{"value": true, "time": "2025-11-30T19:00:00Z"}', ("boolean_as_number",)),
        (b"450.5", ("time_missing",)),
        (b'{"value": 1, "time": "yesterday"}', ("time_unreadable",)),
        (b'{"value": 1, "time": "1970-01-01T00:01:00Z"}', ("time_before_2000",)),
        (b'{"value": 1, "time": "2025-11-30T19:11:00Z"}', ("time_ahead",)),
        (b'{"time": "2025-11-30T19:00:00Z"}', ("no_value",)),
    ],
)
def test_every_repair_is_noted(payload, repairs):
    """Repairs are counted by kind; a plain sample needs none."""
    assert repairs == normalise("croissance/co2", payload).repairs


@pytest.mark.parametrize(
    ("written", "micros"),
    [
        (b'"2025-11-30T19:00:00Z"', "2025-11-30T19:00:00.000000Z"),
        (b'"2025-11-30T20:00:00+01:00"', "2025-11-30T19:00:00.000000Z"),
        (b'"2025-11-30T18:59:59.123456Z"', "2025-11-30T18:59:59.123456Z"),
        (b"1764529200", "2025-11-30T19:00:00.000000Z"),
        (b"1764529200.5", "2025-11-30T19:00:00.500000Z"),
        (b"1764529200123", "2025-11-30T19:00:00.123000Z"),
        (b'"1764529200"', "2025-11-30T19:00:00.000000Z"),
        (b'" 1764529200123 "', "2025-11-30T19:00:00.123000Z"),
    ],
)
def test_a_device_time_in_any_form_is_utc_in_microseconds(written, micros):
    """RFC 3339 with any offset, epoch seconds or milliseconds, also in a string."""
    envelope = only(normalise("croissance/co2", b'{"value": 1, "time": %b}' % written))
    assert (micros, "device") == (envelope.time, envelope.clock)


@pytest.mark.parametrize(
    "written",
    [
        *(b"null", b'""', b'"x"', b"true", b"[]", b'"1999-12-31T23:59:59Z"', b'"2025-11-30T19:10:01Z"'),
        *(b'"2025-11-30T19:00:00"', b"1e30", b'"1_764_529_200"', b"99999999999999999999999", b"NaN", b"{}"),
    ],
)
def test_a_time_that_cannot_be_used_is_replaced_by_the_time_of_receipt(written):
    """Missing, unreadable, without an offset, before 2000 or over ten minutes ahead."""
    envelope = only(normalise("croissance/co2", b'{"value": 1, "time": %b}' % written))
    assert (format_time(NOW), "server") == (envelope.time, envelope.clock)


@pytest.mark.parametrize(
    ("topic", "kind", "module", "sensor", "hardware"),
    [
        ("croissance/co2", "measurement", "croissance", "co2", None),
        ("croissance/dht22/temperature", "measurement", "croissance", "temperature", "dht22"),
        ("croissance/status", "presence", "croissance", None, None),
        ("croissance/logs", "log", "croissance", None, None),
        ("croissance/system/unknown", "other", "croissance", None, None),
        ("croissance/hardware", "other", "croissance", None, None),
        ("croissance/sensors", "other", "croissance", None, None),
        ("croissance/status/extra", "other", "croissance", None, None),
        ("croissance/logs/extra", "other", "croissance", None, None),
        ("a/b/c/d", "other", "a", None, None),
        ("serre é/température", "measurement", "serre é", "température", None),
    ],
)
def test_a_topic_says_the_kind(topic, kind, module, sensor, hardware):
    """`system`, `sensors`, `hardware`, `status` and `logs` are reserved second levels."""
    verdict = normalise(topic, b"1")
    envelope = only(verdict)
    assert (kind, module, sensor, hardware) == (
        envelope.kind,
        envelope.module_id,
        envelope.sensor_type,
        envelope.hardware_id,
    )
    assert kind == verdict.kind


CHIP = {"chip": {"model": "ESP32", "rev": 3}}


@pytest.mark.parametrize(
    ("topic", "payload", "metadata"),
    [
        (
            "m/system",
            b'{"rssi": "-45", "memory": {"heapFreeKb": 123.4, "heapMinFreeKb": 99999999999}, "extra": [1]}',
            {"rssi": -45, "memory": {"heapFreeKb": 123, "heapMinFreeKb": None}, "extra": [1]},
        ),
        ("m/system", b'{"rssi": null}', {"rssi": None}),
        ("m/system", b'{"memory": 5}', {"memory": None}),
        (
            "m/system/config",
            b'{"ip": 1, "mac": "", "uptimeStart": "1234567890", "flash": {"usedKb": true}}',
            {"ip": "1", "mac": None, "uptimeStart": 1234567890, "flash": {"usedKb": 1}},
        ),
        ("m/system/config", b'{"chipId": 9650}', {"chipId": "9650"}),
        (
            "m/hardware/config",
            b'{"chip": {"model": "ESP\\u000032", "rev": "3"}}',
            {"chip": {"model": "ESP32", "rev": 3}},
        ),
        ("m/sensors/status", b'{"co2": {"status": "ok", "value": "450"}}', {"co2": {"status": "ok", "value": 450.0}}),
        ("m/sensors/status", b'{"sensors": {"co2": {"status": true}}}', {"co2": {"status": "true"}}),
        ("m/sensors/status", b'{"co2": 5, "t": {}}', {"t": {}}),
        (
            "m/sensors/config",
            b'{"co2": {"interval": "60", "model": 14, "enabled": "on"}}',
            {"co2": {"interval": 60, "model": "14", "enabled": True}},
        ),
        ("m/sensors/config", b'{"co2": {"enabled": 0}}', {"co2": {"enabled": False}}),
        ("m/status", b"online", {"status": "online"}),
        ("m/status", b"Offline", {"status": "offline"}),
        ("m/status", b'"online"', {"status": "online"}),
        ("m/status", b'{"status": "sleeping"}', {"status": "sleeping"}),
        ("m/status", b'{"status":', {"status": '{"status":'}),
        ("m/logs", b'{"level": "info", "msg": "hi"}', {"level": "info", "msg": "hi"}),
        ("m/logs", b"plain words", {"msg": "plain words"}),
        ("m/system/other", b"\xff\xfe", "\N{REPLACEMENT CHARACTER}" * 2),
        ("m/system/other", b'{"a": "\\ud800"}', {"a": "\N{REPLACEMENT CHARACTER}"}),
        ("m/system/other", b"123456789012345678901234567890", 1.2345678901234568e29),
    ],
)
def test_a_body_is_converted_field_by_field(topic, payload, metadata):
    """Text where an integer belongs, a word where a boolean belongs; absent stays absent, null stays null."""
    assert metadata == only(normalise(topic, payload)).metadata


def test_a_measurement_keeps_unknown_keys_for_screens():
    """They are metadata; the table's own keys are not repeated there."""
    envelope = only(normalise("m/co2", b'{"value": 1, "time": 1764529200, "unit": "ppm"}'))
    assert envelope.metadata == {"unit": "ppm"}


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        ("m/co2", b'{"value": 1', "malformed"),
        ("m/co2", b"[1,", "malformed"),
        ("m/co2", b"{value: 1}", "malformed"),
        ("m/co2", b"[" * 100_000, "malformed"),
        ("m/system", b"hello", "malformed"),
        ("m/system", b"5", "malformed"),
        ("m/system/config", b'{"ip": ', "malformed"),
        ("m/hardware/config", b"[]", "malformed"),
        ("m/sensors/status", b"ok", "malformed"),
        ("m/sensors/config", b"\x00\x01", "malformed"),
        ("alone", b"1", "bad_topic"),
        ("/m/co2", b"1", "bad_topic"),
        ("m//co2", b"1", "bad_topic"),
        ("m/co2/", b"1", "bad_topic"),
        ("m/" + "x" * 129, b"1", "bad_topic"),
        ("/".join(["m"] * 33), b"1", "bad_topic"),
        ("é" * 65 + "/co2", b"1", "bad_topic"),
        ("m/co2", b"1" * (MAX_PAYLOAD + 1), "too_large"),
        ("m/co2", b'{"value": 1, "time": "2025-09-01T00:00:00Z"}', "too_old"),
        ("m/status", b'{"status": "online", "time": "2025-09-01T00:00:00Z"}', "too_old"),
    ],
)
def test_an_unusable_message_is_rejected_with_its_reason(topic, payload, reason):
    """It becomes a dead letter; nothing of it is published."""
    verdict = normalise(topic, payload)
    assert (reason, ()) == (verdict.rejection.reason, verdict.envelopes)


def test_a_level_of_128_bytes_is_the_longest():
    """A level is bounded in bytes, not in characters."""
    assert only(normalise("é" * 64 + "/" + "x" * 128, b"1")).module_id == "é" * 64


@pytest.mark.parametrize(
    ("topic", "payload", "options", "reason"),
    [
        ("m/co2", b"", {}, "cleared"),
        ("m/status", b"", {"retained": True}, "cleared"),
        ("alone", b"", {}, "cleared"),
        ("m/co2", b"1", {"retained": True}, "retained"),
        ("m/co2", b'{"value": 1, "time": "1970-01-01T00:00:00Z"}', {"retained": True}, "retained"),
        ("$SYS/broker/uptime", b"5", {}, "sys"),
    ],
)
def test_a_message_without_data_is_ignored_with_its_reason(topic, payload, options, reason):
    """A cleared retained message; a retained sample without a time of its own; the broker's own topics."""
    verdict = normalise(topic, payload, **options)
    assert (reason, ()) == (verdict.ignored, verdict.envelopes)


@pytest.mark.parametrize("topic", ["m/co2", "m/status", "m/system"])
def test_a_usable_retained_message_is_marked_retained(topic):
    """A retained sample with its own time, a retained state: the writer and the broadcaster decide by the flag."""
    payload = b'{"value": 1, "status": "online", "time": "2025-11-30T19:00:00Z"}'
    assert only(normalise(topic, payload, retained=True)).retained


def test_a_value_outside_its_range_is_rejected_and_null_is_not():
    """Ranges are optional, by sensor type, bounds included."""
    ranged = rules(ranges={"co2": (0.0, 5000.0)})
    reasons = [
        (verdict.rejection.reason if verdict.rejection else None)
        for payload in (b"-1", b"0", b"5000", b"5000.1", b"nan", b'{"value": 9000, "time": "2025-11-30T19:00:00Z"}')
        if (verdict := ranged(b"m/co2", payload, received_at=NOW))
    ]
    assert reasons == ["out_of_range", None, None, "out_of_range", None, "out_of_range"]


def test_only_the_samples_outside_are_refused_of_a_message_of_many():
    """The others are published; their delivery keys have their index in the message."""
    ranged = rules("zigbee2mqtt", ranges={"temperature": (-40.0, 85.0)})
    verdict = ranged(b"zigbee2mqtt/plug", b'{"temperature": 900, "humidity": 40}', received_at=NOW, key="k")
    assert [(each.sensor_type, each.delivery_key) for each in verdict.envelopes] == [("humidity", "k:1")]
    assert verdict.rejection.reason == "out_of_range"


def test_a_prefix_is_taken_off_before_routing():
    """The envelope keeps the topic as the broker has it."""
    envelope = only(rules(prefix="site/one")(b"site/one/m/co2", b"1", received_at=NOW))
    assert (envelope.topic, envelope.module_id, envelope.sensor_type) == ("site/one/m/co2", "m", "co2")


def test_a_topic_is_cleaned_like_any_text():
    """NUL is removed, bytes that are no UTF-8 are replaced, and both are noted."""
    verdict = normalise(b"m\x00odule/\xff", b'{"value": 1, "time": "2025-11-30T19:00:00Z"}')
    assert (only(verdict).module_id, only(verdict).sensor_type) == ("module", "\N{REPLACEMENT CHARACTER}")
    assert verdict.repairs == ("utf8_replaced", "text_cleaned")
