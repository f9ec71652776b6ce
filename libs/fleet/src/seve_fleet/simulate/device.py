"""Builds the messages of one simulated module, an ESP32-class device. Publishes nothing itself.

Birth and last will on `{module}/status`; retained configurations; regular status reports; samples of each sensor. A
module without a clock sends bare numbers at QoS 0, as many small firmwares do.
"""

import json
from typing import Any, Final, NamedTuple

from seve_schema.times import MICROS, format_time

from seve_fleet.simulate.drift import COURSES, value

KNOWN_MODELS: Final = {
    "temperature": "DHT22",
    "humidity": "DHT22",
    "co2": "MH-Z14A",
    "pressure": "BMP280",
    "light": "BH1750",
}
INTERVAL_SECONDS: Final = 60
HEAP_KB: Final = 320


class DeviceMessage(NamedTuple):
    """A message for the broker."""

    topic: str
    payload: bytes
    qos: int
    retain: bool = False


class SimulatedModule:
    """A device with one sensor of each type. Every second module names its hardware (`dht22/temperature`).

    `seed` determines its values; with `clock` it knows the time and uses QoS 1. Times are microseconds since 1970.
    """

    def __init__(self, name: str, seed: int, *, clock: bool = True, boot: int = 0) -> None:
        self.name = name
        self.seed = seed
        self.clock = clock
        self.boot = boot
        self.qos = 1 if clock else 0
        prefix = "dht22/" if seed % 2 else ""
        self.topics = [f"{name}/{prefix if KNOWN_MODELS[sensor] == 'DHT22' else ''}{sensor}" for sensor in COURSES]
        self._courses = list(COURSES.values())
        self._last = [0] * len(COURSES)

    def birth(self) -> DeviceMessage:
        """Return the message that a module publishes first."""
        return DeviceMessage(f"{self.name}/status", b"online", 1, retain=True)

    def will(self) -> DeviceMessage:
        """Return the last will, which a module also publishes before it disconnects."""
        return DeviceMessage(f"{self.name}/status", b"offline", 1, retain=True)

    def configs(self) -> list[DeviceMessage]:
        """Return the configurations, which a module publishes once, retained."""
        serial = self.seed % 254 + 1
        return [
            self._retained(
                "system/config",
                {
                    "ip": f"192.168.1.{serial}",
                    "mac": f"AA:BB:CC:DD:{self.seed // 256 % 256:02X}:{self.seed % 256:02X}",
                    "uptimeStart": self.boot // MICROS,
                    "flash": {"usedKb": 1100 + serial, "freeKb": 2796 - serial, "systemKb": 200},
                    "memory": {"heapTotalKb": HEAP_KB},
                },
            ),
            self._retained(
                "hardware/config",
                {"chip": {"model": "ESP32", "rev": 3, "cpuFreqMhz": 240, "flashKb": 4096, "cores": 2}},
            ),
            self._retained(
                "sensors/config",
                {
                    sensor: {"interval": INTERVAL_SECONDS, "model": model, "enabled": True}
                    for sensor, model in KNOWN_MODELS.items()
                },
            ),
        ]

    def reports(self, now: int) -> list[DeviceMessage]:
        """Return the regular reports: signal and memory, and the status of the sensors."""
        at = now / MICROS
        free = HEAP_KB // 2 - int(at / 60 + self.seed) % 40
        system = {"rssi": -45 - self.seed % 30, "memory": {"heapFreeKb": free, "heapMinFreeKb": free - 12}}
        sensors = {
            sensor: {"status": "ok", "value": value(course, self.seed, at)} for sensor, course in COURSES.items()
        }
        return [self._report("system", system), self._report("sensors/status", sensors)]

    def sample(self, sensor: int, now: int) -> tuple[DeviceMessage, int]:
        """Return a sample of the sensor with that index, and its time: `now`, or later if `now` was used before."""
        time = self._last[sensor] = max(now, self._last[sensor] + 1)
        measured = value(self._courses[sensor], self.seed, time / MICROS)
        payload = f'{{"value": {measured}, "time": "{format_time(time)}"}}' if self.clock else str(measured)
        return DeviceMessage(self.topics[sensor], payload.encode(), self.qos), time

    def _retained(self, suffix: str, body: dict[str, Any]) -> DeviceMessage:
        return DeviceMessage(f"{self.name}/{suffix}", json.dumps(body).encode(), 1, retain=True)

    def _report(self, suffix: str, body: dict[str, Any]) -> DeviceMessage:
        return DeviceMessage(f"{self.name}/{suffix}", json.dumps(body).encode(), self.qos)
