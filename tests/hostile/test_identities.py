"""A device with an identity speaks for itself alone, at both brokers; an honest one beside it loses nothing."""

import json
import stat

import pytest
from seve_embedded.shared.identities import DeviceError
from support.attacker import Attacker, attacking
from support.conditions import wait_until
from support.identities import Devices, Mosquitto, Nats
from support.mosquitto import program

SHARED = {"MQTT_USERNAME": "device", "MQTT_PASSWORD": "shared"}
OWN = {**SHARED, "MQTT_DEVICES": "own", "ROUTE_PRESETS": "tasmota"}
OTHERS = (
    "other/co2",
    "other/status",
    "tele/other/SENSOR",
    "stat/other/RESULT",
    "cmnd/other/POWER",
    "other/set/relay",
    "croissanceX/co2",
    "croissance.x/co2",
    "zigbee2mqtt/croissance",
    "homeassistant/x/config",
    "$JS/API/INFO",
    "$SYS/broker/publish/messages/dropped",
    "$MQTT/msgs/other/co2",
)
OWN_TOPICS = ("croissance/co2", "croissance/dht22/temperature", "croissance/system/config", "tele/croissance/SENSOR")
COUNT = 200


@pytest.fixture(params=[Mosquitto, Nats])
def brokers(request, tmp_path):
    """`brokers(**settings)` starts one."""
    if request.param is Mosquitto and program() is None:
        pytest.skip("the program `mosquitto` is not installed")
    started = []

    def start(**settings):
        server = request.param(tmp_path, **settings)
        server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def devices(brokers):
    """`./seve device` of a broker that lets in devices with an identity alone."""
    return Devices(brokers(**OWN))


@pytest.fixture
def reader(devices):
    """Ingest, as the broker sees it."""
    with attacking(devices.server.mqtt_url, "ingest", login=devices.server.pipeline, clean=False) as reader:
        assert reader.subscribe("#", 1)
        yield reader


def admitted(devices, login):
    with attacking(devices.server.mqtt_url, "tries", login=login) as one:
        return one.admitted


def test_a_device_publishes_its_own_topics_and_no_others(devices, reader):
    login = devices.login("add", "croissance")
    with attacking(devices.server.mqtt_url, "thief", login=login) as thief:
        for topic in OTHERS:
            for qos in (0, 1, 2):
                thief.publish(topic, b"forged", qos, retain=True)
        for topic in OWN_TOPICS:
            thief.publish(topic, b"mine", 1)
        wait_until(lambda: (OWN_TOPICS[-1], b"mine") in reader.received, "its last message at ingest")

    assert {topic for topic, _ in reader.received} == set(OWN_TOPICS)


def test_no_last_will_speaks_for_another(devices, reader):
    login = devices.login("add", "croissance")
    for number, topic in enumerate(("other/status", "croissance/status")):
        Attacker(devices.server.mqtt_url, f"dying-{number}", login=login, will=topic).break_off()
    wait_until(lambda: reader.received, "the will that is allowed")

    assert {topic for topic, _ in reader.received} == {"croissance/status"}


def test_a_device_reads_what_is_addressed_to_it_alone(devices, reader):
    """Not the samples, not the retained messages, not the commands of another."""
    thief, other = devices.login("add", "croissance"), devices.login("add", "other")
    gateway = devices.login("add", "bridge", "--publish", "cmnd/#", "--publish", "other/#")
    url = devices.server.mqtt_url
    with (
        attacking(url, "other", login=other) as honest,
        attacking(url, "thief", login=thief) as spy,
        attacking(url, "bridge", login=gateway) as bridge,
    ):
        honest.publish("other/status", b"online", 1, retain=True)
        for topic in ("#", "+/+", "other/#", "cmnd/#", "cmnd/other/#", "other/set/#", "+/set/#", "$SYS/#", "$MQTT/#"):
            for qos in (0, 1):
                spy.subscribe(topic, qos)
        spy.subscribe("cmnd/croissance/#")
        honest.subscribe("cmnd/other/#")
        honest.publish("other/co2", b"1", 1)
        bridge.publish("cmnd/other/power", b"on", 1)
        bridge.publish("other/set/relay", b"on", 1)
        bridge.publish("cmnd/croissance/power", b"on", 1)
        wait_until(lambda: ("cmnd/other/power", b"on") in honest.received, "the other's command")
        wait_until(lambda: ("cmnd/croissance/power", b"on") in spy.received, "its own command")

        assert {topic for topic, _ in spy.received} == {"cmnd/croissance/power"}


def test_only_an_identity_lets_a_device_in(devices):
    module, password = devices.login("add", "croissance")

    assert admitted(devices, (module, password))
    for login in (None, ("device", "shared"), (module, "wrong"), (module, ""), ("other", password)):
        assert not admitted(devices, login), login


@pytest.mark.parametrize("action", ["remove", "rotate"])
def test_a_password_ends_at_once_and_others_notice_nothing(devices, reader, action):
    """A connection that uses it is closed. An honest device that publishes all the while is not, and loses nothing."""
    honest, stolen = devices.login("add", "honest"), devices.login("add", "stolen")
    url = devices.server.mqtt_url
    with attacking(url, "honest", login=honest) as sender, attacking(url, "thief", login=stolen) as thief:
        for number in range(COUNT):
            sender.publish("honest/co2", b"%d" % number, 1)
            if number == COUNT // 2:
                devices.run(action, "stolen")
        wait_until(lambda: thief.thrown_out, "the thief's connection closed")
        wait_until(lambda: len(reader.received) >= COUNT, "every message at ingest")
        values = [int(payload) for topic, payload in reader.received if topic == "honest/co2"]

        assert sorted(set(values)) == list(range(COUNT))
        assert not sender.thrown_out
    assert not admitted(devices, stolen)
    assert admitted(devices, honest)


def test_a_rotated_password_is_replaced_by_the_one_that_is_shown(devices):
    before = devices.login("add", "croissance")
    after = devices.login("rotate", "croissance")

    assert not admitted(devices, before)
    assert admitted(devices, after)


def test_what_waits_for_ingest_survives_a_change(devices):
    """Ingest is away, its session is not."""
    login = devices.login("add", "croissance")
    url, pipeline = devices.server.mqtt_url, devices.server.pipeline
    away = Attacker(url, "ingest", login=pipeline, clean=False)
    away.subscribe("#", 1)
    away.leave()
    with attacking(url, "device", login=login) as device:
        device.publish("croissance/co2", b"before", 1)
        devices.run("add", "another")
        device.publish("croissance/co2", b"after", 1)
    with attacking(url, "ingest", login=pipeline, clean=False) as back:
        wait_until(lambda: len(back.received) == 2, "both messages")

    assert [payload for _, payload in sorted(back.received, reverse=True)] == [b"before", b"after"]


def test_identities_hold_beside_a_shared_password(brokers):
    """And still for their own topics alone, while whoever has the shared one publishes what it likes."""
    devices = Devices(brokers(**SHARED))
    login = devices.login("add", "croissance")
    url = devices.server.mqtt_url
    with (
        attacking(url, "ingest", login=devices.server.pipeline) as reader,
        attacking(url, "own", login=login) as own,
        attacking(url, "shared", login=("device", "shared")) as shared,
    ):
        reader.subscribe("#", 1)
        own.publish("other/co2", b"forged", 1)
        own.publish("croissance/co2", b"mine", 1)
        shared.publish("other/co2", b"any", 1)
        wait_until(lambda: len(reader.received) == 2, "what is allowed")

        assert sorted(reader.received) == [("croissance/co2", b"mine"), ("other/co2", b"any")]


def test_identities_outlive_the_broker(devices):
    login = devices.login("add", "croissance")
    devices.server.stop()
    devices.server.start()

    assert admitted(devices, login)


def test_a_gateway_publishes_for_the_modules_behind_it(devices, reader):
    login = devices.login("add", "bridge", "--publish", "zigbee2mqtt/#")
    with attacking(devices.server.mqtt_url, "bridge", login=login) as bridge:
        bridge.publish("other/co2", b"forged", 1)
        bridge.publish("zigbee2mqtt/kitchen", b"{}", 1)
        wait_until(lambda: reader.received, "the sample")

    assert reader.received == [("zigbee2mqtt/kitchen", b"{}")]


def test_two_thousand_come_from_a_file_and_go_to_another(devices, tmp_path):
    (tmp_path / "names").write_text("".join(f"module-{number}\n" for number in range(2000)))
    devices.run("add", "--file", str(tmp_path / "names"), "--out", str(tmp_path / "out.csv"))
    head, *rows = (tmp_path / "out.csv").read_text().splitlines()

    assert (head, len(rows)) == ("module,password", 2000)
    assert stat.S_IMODE((tmp_path / "out.csv").stat().st_mode) == 0o600
    assert admitted(devices, tuple(rows[-1].split(",")))
    assert len(json.loads(devices.run("list", "--json"))) == 2000


def test_no_password_is_kept(devices):
    _, password = devices.login("add", "croissance")
    files = [path for path in devices.server.folder.rglob("*") if path.is_file()]

    assert not [path for path in files if password.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["add", "croissance"], "'croissance' has an identity already"),
        (["add", "a/b"], "'a/b' cannot be a device"),
        (["add", "pipeline"], "is the name of a user of the stack"),
        (["add", "gate", "--publish", "#"], "'#' is no filter for a gateway"),
        (["add"], "name a module"),
        (["remove", "croissance", "nobody"], "'nobody' has no identity"),
        (["rotate", "nobody"], "'nobody' has no identity"),
    ],
)
def test_a_command_that_cannot_be_done_changes_nothing(devices, words, fault):
    login = devices.login("add", "croissance")
    with pytest.raises(DeviceError, match=fault):
        devices.run(*words)

    assert admitted(devices, login)
    assert [one["module"] for one in json.loads(devices.run("list", "--json"))] == ["croissance"]
