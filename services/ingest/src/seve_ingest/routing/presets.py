"""The presets: the topics that each firmware publishes by default. A new firmware is a new entry here, and its name in
`settings.RuleSettings.route_presets`. Only data, and only the standard library: the topics that a device may use at the
broker are derived from it on a Python without packages. `routes.PRESETS` has the routes built from it.
"""

from typing import Final, Required, TypedDict


class RouteWords(TypedDict, total=False):
    """A route in the form of a route file. `routes.Route` describes the keys."""

    topic: Required[str]
    kind: Required[str]
    payload: str
    module: str
    time: tuple[str, ...]
    omit: tuple[str, ...]
    fields: dict[str, str]


NATIVE: Final[tuple[RouteWords, ...]] = (
    {"topic": "{module}/system", "kind": "system.status"},
    {"topic": "{module}/system/config", "kind": "system.config"},
    {"topic": "{module}/hardware/config", "kind": "hardware.config"},
    {"topic": "{module}/sensors/status", "kind": "sensors.status"},
    {"topic": "{module}/sensors/config", "kind": "sensors.config"},
    {"topic": "{module}/status", "kind": "presence"},
    {"topic": "{module}/logs", "kind": "log"},
    {"topic": "{module}/system/#", "kind": "other"},
    {"topic": "{module}/hardware/#", "kind": "other"},
    {"topic": "{module}/sensors/#", "kind": "other"},
    {"topic": "{module}/status/#", "kind": "other"},
    {"topic": "{module}/logs/#", "kind": "other"},
    {"topic": "{module}/{sensor}", "kind": "measurement"},
    {"topic": "{module}/{hardware}/{sensor}", "kind": "measurement"},
    {"topic": "{module}/#", "kind": "other"},
)

ESPHOME: Final[tuple[RouteWords, ...]] = (
    # <topic_prefix>/<component>/<object_id>/state; a sensor without a value sends "nan", a binary one ON or OFF
    {"topic": "{module}/sensor/{sensor}/state", "kind": "measurement", "payload": "number"},
    {"topic": "{module}/binary_sensor/{sensor}/state", "kind": "measurement", "payload": "number"},
    {"topic": "{module}/switch/{sensor}/state", "kind": "measurement", "payload": "number"},
    {"topic": "{module}/number/{sensor}/state", "kind": "measurement", "payload": "number"},
    {"topic": "{module}/status", "kind": "presence"},  # birth_message and will_message
    {"topic": "{module}/debug", "kind": "log"},  # log_topic
    {"topic": "homeassistant/#", "kind": "ignored"},  # discovery describes entities; it has no values of them
)

TASMOTA: Final[tuple[RouteWords, ...]] = (
    # `Time` is local and without a zone, so it is used only if the command `Time` has made it an epoch
    {
        "topic": "tele/{module}/SENSOR",
        "kind": "measurement",
        "payload": "numbers",
        "time": ("Epoch", "Time"),
        "omit": ("TempUnit", "PressureUnit", "SpeedUnit", "Id", "TotalStartTime"),
    },
    {
        "topic": "tele/{module}/STATE",
        "kind": "system.status",
        "time": ("Epoch", "Time"),
        "fields": {"rssi": "Wifi.Signal", "memory.heapFreeKb": "Heap"},  # Wifi.RSSI is per cent, Signal is dBm
    },
    {"topic": "tele/{module}/LWT", "kind": "presence"},  # Online or Offline
    {"topic": "tele/{module}/#", "kind": "other"},
    {"topic": "stat/{module}/#", "kind": "other"},
    {"topic": "cmnd/#", "kind": "ignored"},  # commands to the device
    {"topic": "tasmota/discovery/#", "kind": "ignored"},
    {"topic": "homeassistant/#", "kind": "ignored"},
)

ZIGBEE2MQTT: Final[tuple[RouteWords, ...]] = (
    {"topic": "zigbee2mqtt/bridge/state", "kind": "presence", "module": "zigbee2mqtt"},
    {"topic": "zigbee2mqtt/bridge/logging", "kind": "log", "module": "zigbee2mqtt"},
    {"topic": "zigbee2mqtt/bridge/#", "kind": "other", "module": "zigbee2mqtt"},
    {"topic": "zigbee2mqtt/{module}/availability", "kind": "presence"},  # {"state": "online"}; a bare word before 1.32
    {"topic": "zigbee2mqtt/{module}/set", "kind": "ignored"},
    {"topic": "zigbee2mqtt/{module}/get", "kind": "ignored"},
    {
        "topic": "zigbee2mqtt/{module}",
        "kind": "measurement",
        "payload": "numbers",
        "time": ("last_seen",),
        "omit": ("update", "update_available", "elapsed"),
    },
    {"topic": "zigbee2mqtt/{module}/#", "kind": "other"},
    {"topic": "homeassistant/#", "kind": "ignored"},
)

PRESET_TOPICS: Final[dict[str, tuple[RouteWords, ...]]] = {
    "native": NATIVE,
    "esphome": ESPHOME,
    "tasmota": TASMOTA,
    "zigbee2mqtt": ZIGBEE2MQTT,
}
