"""The examples of the document that devices in the field were written after, published exactly as it prints them.

Its samples are of 2025: the pipelines of the tests keep samples of any age, where the default retention of 90 days
would put them with the dead letters (`too_old`).
"""

from datetime import UTC, datetime

import pytest
from support.conditions import wait_until

SYSTEM_STATUS = """\
{
  "rssi": -45,
  "memory": {
    "heapFreeKb": 123,
    "heapMinFreeKb": 45
  }
}
"""
SYSTEM_CONFIG = """\
{
  "ip": "192.168.1.100",
  "mac": "AA:BB:CC:DD:EE:FF",
  "uptimeStart": 1234567890,
  "flash": {
    "usedKb": 500,
    "freeKb": 1500,
    "systemKb": 200
  },
  "memory": {
    "heapTotalKb": 320
  }
}
"""
HARDWARE_CONFIG = """\
{
  "chip": {
    "model": "ESP32",
    "rev": 3,
    "cpuFreqMhz": 240,
    "flashKb": 4096,
    "cores": 2
  }
}
"""
SENSOR_DATA = """\
{
  "value": 450.5,
  "time": "2025-11-30T19:00:00Z"
}
"""
MOMENT = datetime(2025, 11, 30, 19, tzinfo=UTC)

SYSTEM_CONFIG_SQL = """
SELECT ip, mac, uptime_start, flash_used_kb, flash_free_kb, flash_system_kb, heap_total_kb
FROM device_system_status WHERE module_id = 'croissance'
"""
HARDWARE_SQL = """
SELECT chip_model, chip_rev, cpu_freq_mhz, flash_kb, cores FROM device_hardware WHERE module_id = 'croissance'
"""
SENSOR_SQL = "SELECT value, time FROM measurements WHERE module_id = 'croissance' AND sensor_type = '{}'"
EXAMPLES = [
    (
        "croissance/system",
        SYSTEM_STATUS,
        "SELECT rssi, heap_free_kb, heap_min_free_kb FROM device_system_status WHERE module_id = 'croissance'",
        (-45, 123, 45),
    ),
    (
        "croissance/system/config",
        SYSTEM_CONFIG,
        SYSTEM_CONFIG_SQL,
        ("192.168.1.100", "AA:BB:CC:DD:EE:FF", 1234567890, 500, 1500, 200, 320),
    ),
    (
        "croissance/hardware/config",
        HARDWARE_CONFIG,
        HARDWARE_SQL,
        ("ESP32", 3, 240, 4096, 2),
    ),
    *(
        (f"croissance/{sensor}", SENSOR_DATA, SENSOR_SQL.format(sensor), (450.5, MOMENT))
        for sensor in ("co2", "temperature", "humidity")
    ),
]


@pytest.mark.parametrize(("topic", "payload", "sql", "row"), EXAMPLES, ids=[example[0] for example in EXAMPLES])
def test_an_example_as_printed_ends_in_the_table_it_names(stack, publish, topic, payload, sql, row):
    publish(topic, payload)
    wait_until(lambda: [row] == stack.query(sql), f"{topic} in its table")
