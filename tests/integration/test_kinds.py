"""Every kind of message, end to end: published over MQTT, read back from its table and from a WebSocket."""

import json
from datetime import UTC, datetime

import pytest
from support.conditions import wait_until

TIME = "2025-11-30T19:00:00Z"
MOMENT = datetime(2025, 11, 30, 19, tzinfo=UTC)


def envelope_of(watched, topic):
    """The first envelope of a topic, when it has come."""
    wait_until(lambda: any(e["topic"] == topic for e in watched.envelopes), f"{topic} on the WebSocket")
    return next(e for e in watched.envelopes if e["topic"] == topic)


def stored(stack, sql, module):
    """The rows of a query about a module, when there are any."""
    wait_until(lambda: stack.query(sql, module), f"rows: {sql}")
    return stack.query(sql, module)


def test_a_measurement_with_its_own_time(stack, publish, watched, module):
    """The time is the device's, to the microsecond."""
    publish(f"{module}/co2", json.dumps({"value": 450.5, "time": "2025-11-30T20:00:00.123456+01:00"}))
    rows = stored(stack, "SELECT sensor_type, hardware_id, value, time FROM measurements WHERE module_id = %s", module)
    assert [("co2", "", 450.5, MOMENT.replace(microsecond=123456))] == rows
    envelope = envelope_of(watched, f"{module}/co2")
    assert ("measurement", module, "co2", None, 450.5, "2025-11-30T19:00:00.123456Z", "device") == tuple(
        envelope[key] for key in ("kind", "moduleId", "sensorType", "hardwareId", "value", "time", "clock")
    )


def test_a_bare_number_is_a_measurement_at_the_time_of_its_receipt(stack, publish, watched, module):
    before = datetime.now(UTC)
    publish(f"{module}/light", "812")
    ((value, time),) = stored(stack, "SELECT value, time FROM measurements WHERE module_id = %s", module)
    assert value == 812
    assert before <= time <= datetime.now(UTC)
    envelope = envelope_of(watched, f"{module}/light")
    assert ("server", envelope["receivedAt"]) == (envelope["clock"], envelope["time"])


def test_a_measurement_names_its_hardware(stack, publish, watched, module):
    publish(f"{module}/dht22/temperature", json.dumps({"value": 21.5, "time": TIME}))
    rows = stored(stack, "SELECT hardware_id, sensor_type, value FROM measurements WHERE module_id = %s", module)
    assert rows == [("dht22", "temperature", 21.5)]
    assert envelope_of(watched, f"{module}/dht22/temperature")["hardwareId"] == "dht22"


def test_a_measurement_at_qos_0_is_stored_too(stack, publish, module):
    publish(f"{module}/co2", "451", qos=0)
    assert stored(stack, "SELECT value FROM measurements WHERE module_id = %s", module) == [(451,)]


SYSTEM_CONFIG = """
SELECT ip, mac, uptime_start, flash_used_kb, flash_free_kb, flash_system_kb, heap_total_kb
FROM device_system_status WHERE module_id = %s
"""
STATES = [
    (
        "system",
        {"rssi": -45, "memory": {"heapFreeKb": 123, "heapMinFreeKb": 45}},
        "system.status",
        "SELECT rssi, heap_free_kb, heap_min_free_kb FROM device_system_status WHERE module_id = %s",
        [(-45, 123, 45)],
    ),
    (
        "system/config",
        {
            "ip": "192.168.1.100",
            "mac": "AA:BB:CC:DD:EE:FF",
            "uptimeStart": 1234567890,
            "flash": {"usedKb": 500, "freeKb": 1500, "systemKb": 200},
            "memory": {"heapTotalKb": 320},
        },
        "system.config",
        SYSTEM_CONFIG,
        [("192.168.1.100", "AA:BB:CC:DD:EE:FF", 1234567890, 500, 1500, 200, 320)],
    ),
    (
        "hardware/config",
        {"chip": {"model": "ESP32", "rev": 3, "cpuFreqMhz": 240, "flashKb": 4096, "cores": 2}},
        "hardware.config",
        "SELECT chip_model, chip_rev, cpu_freq_mhz, flash_kb, cores FROM device_hardware WHERE module_id = %s",
        [("ESP32", 3, 240, 4096, 2)],
    ),
    (
        "sensors/status",
        {"co2": {"status": "ok", "value": 450}, "light": {"status": "error", "value": None}},
        "sensors.status",
        "SELECT sensor_type, status, value FROM sensor_status WHERE module_id = %s ORDER BY sensor_type",
        [("co2", "ok", 450), ("light", "error", None)],
    ),
    (
        "sensors/config",
        {"sensors": {"co2": {"interval": 60, "model": "MH-Z14A", "enabled": True}}},
        "sensors.config",
        "SELECT sensor_type, interval_seconds, model, enabled FROM sensor_config WHERE module_id = %s",
        [("co2", 60, "MH-Z14A", True)],
    ),
    ("status", "online", "presence", "SELECT status FROM device_presence WHERE module_id = %s", [("online",)]),
    (
        "status",
        {"status": "offline"},
        "presence",
        "SELECT status FROM device_presence WHERE module_id = %s",
        [("offline",)],
    ),
]


@pytest.mark.parametrize(("suffix", "body", "kind", "sql", "rows"), STATES, ids=[state[2] for state in STATES])
def test_device_reports_reach_their_tables_and_the_screen(
    stack, publish, watched, module, suffix, body, kind, sql, rows
):
    publish(f"{module}/{suffix}", body if isinstance(body, str) else json.dumps(body))
    assert rows == stored(stack, sql, module)
    envelope = envelope_of(watched, f"{module}/{suffix}")
    assert (kind, None, None, False) == tuple(envelope[key] for key in ("kind", "sensorType", "value", "retained"))
    assert envelope["metadata"]


def test_system_status_and_configuration_share_a_row_and_keep_each_others_columns(stack, publish, module):
    publish(f"{module}/system", json.dumps({"rssi": -50, "memory": {"heapFreeKb": 99}}))
    publish(f"{module}/system/config", json.dumps({"ip": "10.0.0.7"}))
    publish(f"{module}/system", json.dumps({"rssi": -51}))
    sql = "SELECT ip, rssi, heap_free_kb FROM device_system_status WHERE module_id = %s"
    wait_until(lambda: stack.query(sql, module) == [("10.0.0.7", -51, 99)], "the merged row")


@pytest.mark.parametrize(
    ("suffix", "body", "kind"),
    [("logs", {"level": "warn", "msg": "low heap", "time": TIME}, "log"), ("a/b/c/d", {"x": 1}, "other")],
)
def test_kinds_without_a_table_reach_only_the_screen(stack, publish, watched, module, suffix, body, kind):
    """The envelope goes by; nothing of the module is stored, and the message after it is."""
    publish(f"{module}/{suffix}", json.dumps(body))
    envelope = envelope_of(watched, f"{module}/{suffix}")
    assert (kind, body) == (envelope["kind"], {key: envelope["metadata"][key] for key in body})
    publish(f"{module}/co2", json.dumps({"value": 1, "time": TIME}))
    assert stored(stack, "SELECT value FROM measurements WHERE module_id = %s", module) == [(1,)]


def test_unknown_keys_stay_with_the_envelope(stack, publish, watched, module):
    """No table has them, screens do."""
    publish(f"{module}/co2", json.dumps({"value": 450, "time": TIME, "unit": "ppm"}))
    assert envelope_of(watched, f"{module}/co2")["metadata"] == {"unit": "ppm"}


def test_a_name_with_any_character_is_a_module(stack, publish):
    """Dots, accents and what means something in a subject are no trouble; NATS' MQTT takes no spaces, though."""
    name = "serre-n°2.été>*%2E"
    publish(f"{name}/co2", json.dumps({"value": 7, "time": TIME}))
    assert stored(stack, "SELECT value FROM measurements WHERE module_id = %s", name) == [(7,)]
