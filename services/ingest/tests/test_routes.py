"""Routes: each preset with the messages that its firmware really publishes, and the route file with its faults."""

import pytest
from seve_ingest.factory import route_table
from seve_ingest.normalise.normaliser import Normaliser
from seve_ingest.routing.route_file import RouteFileError, parse
from seve_ingest.routing.routes import PRESETS, Route, RouteError, RouteTable
from seve_ingest.settings import RuleSettings
from seve_schema.times import parse_time, to_micros

NOW = to_micros(parse_time("2025-11-30T19:00:00Z"))


def readings(topic, payload, *presets, file=()):
    """Return module, hardware, sensor and value of each sample of a message."""
    routes = [("file", route) for route in file]
    routes += [(name, route) for name in (*presets, "native") for route in PRESETS[name]]
    verdict = Normaliser(RouteTable(routes), retention=90 * 86400.0)(topic.encode(), payload, received_at=NOW)
    return [(each.module_id, each.hardware_id, each.sensor_type, each.value) for each in verdict.envelopes]


def verdict_of(topic, payload, *presets):
    routes = [(name, route) for name in (*presets, "native") for route in PRESETS[name]]
    return Normaliser(RouteTable(routes), retention=90 * 86400.0)(topic.encode(), payload, received_at=NOW)


@pytest.mark.parametrize(
    ("topic", "payload", "expected"),
    [
        ("livingroom/sensor/temperature/state", b"21.5", [("livingroom", None, "temperature", 21.5)]),
        ("livingroom/sensor/temperature/state", b"nan", [("livingroom", None, "temperature", None)]),
        ("livingroom/binary_sensor/door/state", b"ON", [("livingroom", None, "door", 1.0)]),
        ("livingroom/switch/pump/state", b"OFF", [("livingroom", None, "pump", 0.0)]),
    ],
)
def test_esphome(topic, payload, expected):
    """`<node>/sensor/<name>/state` holds a bare number, `binary_sensor` and `switch` ON or OFF."""
    assert expected == readings(topic, payload, "esphome")


@pytest.mark.parametrize(
    ("topic", "payload", "kind", "metadata"),
    [
        ("livingroom/status", b"online", "presence", {"status": "online"}),
        ("livingroom/debug", b"\x1b[0;32m[I][app:102]: ok", "log", {"msg": "\x1b[0;32m[I][app:102]: ok"}),
        ("livingroom/text_sensor/version/state", b"2025.11.0", "other", "2025.11.0"),
    ],
)
def test_esphome_messages_other_than_samples(topic, payload, kind, metadata):
    """Birth and will messages are presence, the log is a log, text is of kind `other`."""
    [envelope] = verdict_of(topic, payload, "esphome").envelopes
    assert (kind, metadata) == (envelope.kind, envelope.metadata)


SENSOR = (
    b'{"Time":"2025-11-30T19:59:52","Switch1":"ON","ANALOG":{"CTEnergy":{"Energy":0.006,"Power":2068}},'
    b'"DS18B20-1":{"Id":"0316A279E2FF","Temperature":19.1},"DHT11":{"Temperature":23.0,"Humidity":null},"TempUnit":"C"}'
)


def test_tasmota_sensor():
    """An object of objects of numbers: the object names the hardware; units and serial numbers are no samples."""
    expected = [
        ("plug", None, "Switch1", 1.0),
        ("plug", "ANALOG.CTEnergy", "Energy", 0.006),
        ("plug", "ANALOG.CTEnergy", "Power", 2068.0),
        ("plug", "DS18B20-1", "Temperature", 19.1),
        ("plug", "DHT11", "Temperature", 23.0),
    ]
    assert expected == readings("tele/plug/SENSOR", SENSOR, "tasmota")


def test_tasmota_time_is_local_and_believed_only_as_an_epoch():
    """A time without a zone is replaced by the time of receipt, unless the message also has an epoch."""
    local = verdict_of("tele/plug/SENSOR", b'{"Time":"2025-11-30T19:59:52","A":{"T":1}}', "tasmota").envelopes[0]
    epoch = verdict_of("tele/plug/SENSOR", b'{"Time":"2025-11-30T19:59:52","Epoch":1764529192,"T":1}', "tasmota")
    assert (local.clock, epoch.envelopes[0].clock) == ("server", "device")
    assert epoch.envelopes[0].time == "2025-11-30T18:59:52.000000Z"


def test_tasmota_state_is_the_module_s_status():
    """`rssi` comes from Signal, in dBm; the free heap from Heap, in KiB; other keys are kept for screens."""
    state = b'{"Time":"2025-11-30T19:59:52","Heap":28,"POWER":"ON","Wifi":{"RSSI":30,"Signal":-85}}'
    [envelope] = verdict_of("tele/plug/STATE", state, "tasmota").envelopes
    assert (
        envelope.kind,
        envelope.module_id,
        envelope.metadata["rssi"],
        envelope.metadata["memory"]["heapFreeKb"],
        envelope.metadata["POWER"],
    ) == ("system.status", "plug", -85, 28, "ON")


@pytest.mark.parametrize(("payload", "status"), [(b"Online", "online"), (b"Offline", "offline")])
def test_tasmota_presence(payload, status):
    """`tele/<topic>/LWT`."""
    [envelope] = verdict_of("tele/plug/LWT", payload, "tasmota").envelopes
    assert ("presence", {"status": status}) == (envelope.kind, envelope.metadata)


def test_zigbee2mqtt_device():
    """A flat object: every number, boolean and switch is a sample, also a number in a string; words are not."""
    payload = (
        b'{"temperature":27.34,"humidity":44.72,"battery":"100.00","contact":true,"state":"ON","action":"single",'
        b'"linkquality":99,"last_seen":"2025-11-30T18:59:56.796Z","update":{"installed_version":5}}'
    )
    expected = [
        ("kitchen", None, "temperature", 27.34),
        ("kitchen", None, "humidity", 44.72),
        ("kitchen", None, "battery", 100.0),
        ("kitchen", None, "contact", 1.0),
        ("kitchen", None, "state", 1.0),
        ("kitchen", None, "linkquality", 99.0),
    ]
    assert expected == readings("zigbee2mqtt/kitchen", payload, "zigbee2mqtt")
    assert verdict_of("zigbee2mqtt/kitchen", payload, "zigbee2mqtt").envelopes[0].time == "2025-11-30T18:59:56.796000Z"


@pytest.mark.parametrize(
    ("topic", "payload", "module"),
    [
        ("zigbee2mqtt/kitchen/availability", b'{"state":"online"}', "kitchen"),
        ("zigbee2mqtt/kitchen/availability", b"online", "kitchen"),
        ("zigbee2mqtt/bridge/state", b'{"state":"online"}', "zigbee2mqtt"),
    ],
)
def test_zigbee2mqtt_presence(topic, payload, module):
    """Of a device, in the current and the former format, and of the bridge."""
    [envelope] = verdict_of(topic, payload, "zigbee2mqtt").envelopes
    assert ("presence", module, "online") == (envelope.kind, envelope.module_id, envelope.metadata["status"])


@pytest.mark.parametrize(
    ("topic", "presets"),
    [
        ("zigbee2mqtt/kitchen/set", ["zigbee2mqtt"]),
        ("cmnd/plug/POWER", ["tasmota"]),
        ("homeassistant/sensor/x/config", ["esphome"]),
    ],
)
def test_commands_and_discovery_are_ignored(topic, presets):
    """They are sent to devices or describe them; devices do not send them."""
    assert verdict_of(topic, b"{}", *presets).ignored == "route"


def test_an_object_without_numbers_is_ignored():
    """It has nothing that could be stored."""
    assert verdict_of("zigbee2mqtt/button", b'{"action":"single"}', "zigbee2mqtt").ignored == "empty"


def test_several_presets_work_together():
    """Each reads its own topics; `native` still reads the rest."""
    presets = ("esphome", "tasmota", "zigbee2mqtt")
    assert readings("n/sensor/t/state", b"1", *presets) == [("n", None, "t", 1.0)]
    assert readings("tele/p/SENSOR", b'{"A":{"T":1}}', *presets) == [("p", "A", "T", 1.0)]
    assert readings("m/co2", b"1", *presets) == [("m", None, "co2", 1.0)]


@pytest.mark.parametrize(("count", "samples"), [(256, 256), (257, 0)])
def test_an_object_of_numbers_holds_256_at_most(count, samples):
    """A larger one is rejected as a whole."""
    payload = b"{" + b",".join(b'"k%d":1' % i for i in range(count)) + b"}"
    verdict = verdict_of("zigbee2mqtt/x", payload, "zigbee2mqtt")
    assert (len(verdict.encoded), verdict.rejection is None) == (samples, samples > 0)


@pytest.mark.parametrize(
    ("topic", "payload", "preset"),
    [
        ("zigbee2mqtt/x", b'{"elapsed": 5, "update": {"progress": 1}, "update_available": true}', "zigbee2mqtt"),
        ("zigbee2mqtt/x", b'{"last_seen": 1764529192000}', "zigbee2mqtt"),
        (
            "tele/x/SENSOR",
            b'{"TempUnit": 1, "PressureUnit": 1, "SpeedUnit": 1, "Id": 1, "TotalStartTime": 1}',
            "tasmota",
        ),
        ("tele/x/SENSOR", b'{"Time": 1764529192, "Epoch": 1764529192, "A": {"Id": 5}}', "tasmota"),
    ],
)
def test_omitted_keys_and_times_are_no_samples(topic, payload, preset):
    """Numbers that a firmware sends beside its measurements."""
    assert verdict_of(topic, payload, preset).ignored == "empty"


def test_a_file_route_comes_before_all_others():
    """It may give a topic another meaning, and names that the topic does not contain."""
    file = parse(
        """
        [[route]]
        topic = "meter/{module}/power"
        kind = "measurement"
        sensor = "power"
        value = "watts"
        time = ["ts"]
        """,
        "routes.toml",
    ).routes
    assert readings("meter/m1/power", b'{"watts": 5, "ts": 1764529199}', file=file) == [("m1", None, "power", 5.0)]


def test_the_order_of_routes_is_file_presets_as_listed_native(tmp_path):
    """The order in which the service tries them, whatever place `native` has in the list."""
    (tmp_path / "own.toml").write_text('[[route]]\ntopic = "{module}/#"\nkind = "other"\n')
    settings = RuleSettings(
        routes_file=str(tmp_path / "own.toml"), route_presets=("native", "tasmota", "zigbee2mqtt", "esphome")
    )
    origins = [origin for origin, _ in route_table(settings)]
    assert list(dict.fromkeys(origins)) == ["own.toml", "tasmota", "zigbee2mqtt", "esphome", "native"]
    assert origins == sorted(origins, key=list(dict.fromkeys(origins)).index)
    assert route_table(settings).match(["m", "co2"]).origin == "own.toml"


FAULTS = [
    ('[[route]]\ntopic = "{module}/x"\n\nkind = "bogus"\n', "r.toml:4: kind"),
    ('[[route]]\ntopic = "{module}/{what}"\nkind = "other"\n', "r.toml:2: topic"),
    ('[[route]]\ntopic = "{module}/x"\nkind = "other"\ncolour = 1\n', "r.toml:4: colour"),
    ('[[route]]\ntopic = "x/y"\nkind = "other"\n', "r.toml:1: module"),
    ('[[route]]\ntopic = "{module}/y"\nkind = "measurement"\n', "r.toml:1: sensor"),
    ('[[route]]\nkind = "other"\n', "r.toml:1: topic"),
    ('[[route]]\ntopic = "{module}/#/x"\nkind = "other"\n', "r.toml:2: topic"),
    ('[[test]]\ntopic = "m/x"\nexpect = "empty"\n', "r.toml:1: payload"),
    ('[[test]]\ntopic = "m/x"\npayload = "1"\nexpect = { sensors = "x" }\n', "r.toml:4: expect"),
    ('[[route]]\ntopic = "{module}/x"\nkind = "log"\n[[test]]\nbogus = 1\n', "r.toml:5: bogus"),
    ("\nroutes = []\n", "r.toml:2: routes"),
    ('[route]\ntopic = "x"\n', "r.toml:1: route"),
    ("[[route]\n", "r.toml: "),
]


@pytest.mark.parametrize(("text", "begin"), FAULTS)
def test_a_fault_in_the_file_names_file_line_and_key(text, begin):
    """So that its author finds it at once."""
    with pytest.raises(RouteFileError) as caught:
        parse(text, "r.toml")
    [fault] = caught.value.faults
    assert fault.startswith(begin), fault


def test_all_faults_of_a_file_are_reported_together():
    """So one start shows them all."""
    text = '[[route]]\ntopic = "x"\nkind = "other"\n[[route]]\ntopic = "{module}/x"\nkind = "bogus"\n'
    with pytest.raises(RouteFileError) as caught:
        parse(text, "r.toml")
    assert [fault.rsplit(": ", 1)[0][:16].rstrip(": ") for fault in caught.value.faults] == [
        "r.toml:1: module",
        "r.toml:6: kind",
    ]


def test_a_capture_may_stand_once():
    """With two of a kind it would be unclear which one counts."""
    with pytest.raises(RouteError):
        Route(topic="{module}/{module}", kind="other")


def test_a_level_is_a_word_or_a_capture_as_a_whole():
    """Parts of levels are no captures."""
    with pytest.raises(RouteError):
        Route(topic="{module}/sensor-{sensor}", kind="measurement")
