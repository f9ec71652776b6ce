"""The routes that ship: topics that each firmware publishes by default. Data only; `native` is always last."""

from typing import Final

from seve_ingest.routing.routes import Route

NATIVE: Final = (
    Route(topic="{module}/system", kind="system.status"),
    Route(topic="{module}/system/config", kind="system.config"),
    Route(topic="{module}/hardware/config", kind="hardware.config"),
    Route(topic="{module}/sensors/status", kind="sensors.status"),
    Route(topic="{module}/sensors/config", kind="sensors.config"),
    Route(topic="{module}/status", kind="presence"),
    Route(topic="{module}/logs", kind="log"),
    Route(topic="{module}/system/#", kind="other"),
    Route(topic="{module}/hardware/#", kind="other"),
    Route(topic="{module}/sensors/#", kind="other"),
    Route(topic="{module}/status/#", kind="other"),
    Route(topic="{module}/logs/#", kind="other"),
    Route(topic="{module}/{sensor}", kind="measurement"),
    Route(topic="{module}/{hardware}/{sensor}", kind="measurement"),
    Route(topic="{module}/#", kind="other"),
)

ESPHOME: Final = (
    # <topic_prefix>/<component>/<object_id>/state; a sensor without a value says "nan", a binary one ON or OFF
    Route(topic="{module}/sensor/{sensor}/state", kind="measurement", payload="number"),
    Route(topic="{module}/binary_sensor/{sensor}/state", kind="measurement", payload="number"),
    Route(topic="{module}/switch/{sensor}/state", kind="measurement", payload="number"),
    Route(topic="{module}/number/{sensor}/state", kind="measurement", payload="number"),
    Route(topic="{module}/status", kind="presence"),  # birth_message and will_message
    Route(topic="{module}/debug", kind="log"),  # log_topic
    Route(topic="homeassistant/#", kind="ignored"),  # discovery tells about entities, not from them
)

TASMOTA: Final = (
    # Time is local and has no zone unless the command `Time` makes it an epoch, so it is believed only then
    Route(
        topic="tele/{module}/SENSOR",
        kind="measurement",
        payload="numbers",
        time=("Epoch", "Time"),
        omit=("TempUnit", "PressureUnit", "SpeedUnit", "Id", "TotalStartTime"),
    ),
    Route(
        topic="tele/{module}/STATE",
        kind="system.status",
        time=("Epoch", "Time"),
        fields={"rssi": "Wifi.Signal", "memory.heapFreeKb": "Heap"},  # Wifi.RSSI is per cent, Signal is dBm
    ),
    Route(topic="tele/{module}/LWT", kind="presence"),  # Online or Offline
    Route(topic="tele/{module}/#", kind="other"),
    Route(topic="stat/{module}/#", kind="other"),
    Route(topic="cmnd/#", kind="ignored"),  # what others tell the device
    Route(topic="tasmota/discovery/#", kind="ignored"),
    Route(topic="homeassistant/#", kind="ignored"),
)

ZIGBEE2MQTT: Final = (
    Route(topic="zigbee2mqtt/bridge/state", kind="presence", module="zigbee2mqtt"),
    Route(topic="zigbee2mqtt/bridge/logging", kind="log", module="zigbee2mqtt"),
    Route(topic="zigbee2mqtt/bridge/#", kind="other", module="zigbee2mqtt"),
    Route(topic="zigbee2mqtt/{module}/availability", kind="presence"),  # {"state": "online"}; a bare word before 1.32
    Route(topic="zigbee2mqtt/{module}/set", kind="ignored"),
    Route(topic="zigbee2mqtt/{module}/get", kind="ignored"),
    Route(
        topic="zigbee2mqtt/{module}",
        kind="measurement",
        payload="numbers",
        time=("last_seen",),
        omit=("update", "update_available", "elapsed"),
    ),
    Route(topic="zigbee2mqtt/{module}/#", kind="other"),
    Route(topic="homeassistant/#", kind="ignored"),
)

PRESETS: Final[dict[str, tuple[Route, ...]]] = {
    "native": NATIVE,
    "esphome": ESPHOME,
    "tasmota": TASMOTA,
    "zigbee2mqtt": ZIGBEE2MQTT,
}
