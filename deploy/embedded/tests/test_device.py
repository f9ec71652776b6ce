"""`./seve device`: what it prints and stores, and the rights that each broker gets."""

import json
from pathlib import Path

import pytest
from seve_docker import mosquitto_acl
from seve_embedded.cli.arguments import parse
from seve_embedded.servers import nats
from seve_embedded.shared import device_command, identities
from seve_embedded.shared.device_command import BrokerAddress, broker_address
from seve_embedded.shared.identities import DeviceError, Identity, Rights, Rules

NETWORKS = ["192.168.1.7"]


class Broker:
    """A stand-in for a broker. `refuses` is its answer to a change, `up` says whether it runs."""

    def __init__(self, folder, environ=None, *, up=True, own=True, listen="0.0.0.0:8883", ca=None):
        self.folder = folder / "secrets"
        self.rules = Rules.of(environ or {}, folder)
        self.taken = frozenset({"pipeline"})
        self.address = broker_address(listen, NETWORKS, ca)
        self.own, self.up, self.refuses = own, up, None

    def digest(self, password):
        return f"digest of {len(password)} characters"

    def write(self, file, text):
        file.write_text(text)

    def apply(self):
        if self.refuses:
            raise DeviceError(self.refuses)
        return self.up

    def say(self, *words):
        said = []
        device_command.run(parse(["device", *words]), self, said.append)
        return "\n".join(said)


def test_add_shows_what_the_device_needs_and_a_command_to_try(tmp_path):
    page = Broker(tmp_path, {"ROUTE_PRESETS": "tasmota"}, ca="/my ca.pem").say("add", "croissance")
    password = page.split("password  ")[1].split()[0]

    assert "host      192.168.1.7\n  port      8883\n  trust     /my ca.pem" in page
    assert "publish   tele/croissance/#  stat/croissance/#  croissance/#" in page
    assert "read      cmnd/croissance/#  croissance/set/#" in page
    assert (
        f"mosquitto_pub -h 192.168.1.7 -p 8883 --cafile '/my ca.pem' -u croissance -P {password} -q 1 "
        """-t croissance/co2 -m '{"value": 450.5}'""" in page
    )
    assert len(password) == 32


def test_add_says_why_a_device_cannot_connect_yet(tmp_path):
    broker = Broker(tmp_path, listen="127.0.0.1:1883", up=False, own=False)
    page = broker.say("add", "croissance")

    assert "this machine alone" in page
    assert "holds from its next start" in page
    assert "MQTT_DEVICES=own in .env refuses them" in page


def test_several_identities_are_printed_as_csv(tmp_path):
    head, *rows = Broker(tmp_path).say("add", "a", "b", "a").splitlines()

    assert head == "module,password"
    assert [row.split(",")[0] for row in rows] == ["a", "b"]


def test_identities_are_printed_as_json(tmp_path):
    broker = Broker(tmp_path)
    [made] = json.loads(broker.say("add", "a", "--json"))
    [listed] = json.loads(broker.say("list", "--json"))

    assert {name: made[name] for name in ("module", "host", "port", "publish", "read")} == {
        "module": "a",
        "host": "192.168.1.7",
        "port": 8883,
        "publish": ["a/#"],
        "read": ["cmnd/a/#", "a/set/#"],
    }
    assert {name: listed[name] for name in ("module", "publish")} == {"module": "a", "publish": ["a/#"]}


def test_a_change_that_the_broker_refuses_is_undone(tmp_path):
    broker = Broker(tmp_path)
    broker.say("add", "a")
    kept = identities.load(broker.folder)
    broker.refuses = "no room"
    for words in (["add", "b"], ["rotate", "a"]):
        with pytest.raises(DeviceError, match="no room"):
            broker.say(*words)

    assert identities.load(broker.folder) == kept


def test_a_removal_holds_even_if_the_broker_does_not_answer(tmp_path):
    broker = Broker(tmp_path)
    broker.say("add", "a")
    broker.refuses = "nobody answers"
    with pytest.raises(DeviceError, match="It is removed all the same"):
        broker.say("remove", "a")

    assert identities.load(broker.folder) == {}


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / identities.FILE).write_text("{")
    with pytest.raises(DeviceError, match=r"devices\.json is damaged"):
        identities.load(tmp_path)


def test_a_route_file_adds_its_topics(tmp_path):
    (tmp_path / "routes.toml").write_text('[[route]]\ntopic = "site/{module}/{sensor}"\nkind = "measurement"\n')
    broker = Broker(tmp_path, {"ROUTES_FILE": "routes.toml"})

    assert "publish   site/croissance/+  croissance/#" in broker.say("add", "croissance")
    with pytest.raises(DeviceError, match="the topics of devices cannot be told"):
        Broker(tmp_path, {"ROUTES_FILE": "missing.toml"})


def test_the_shared_user_cannot_have_an_identity():
    known = {"croissance": Identity("digest", "2026-11-26T12:00:00Z")}
    with pytest.raises(DeviceError, match="MQTT_USERNAME = 'croissance'"):
        identities.check_shared(known, ("croissance", "secret"))


@pytest.mark.parametrize(
    ("filters", "subjects"),
    [
        (["a/#"], ["a", "a.>"]),
        (["+/a/+"], ["*.a.*"]),
        (["cmnd/esp32.kitchen/#"], ["cmnd.esp32//kitchen", "cmnd.esp32//kitchen.>"]),
    ],
)
def test_filters_become_subjects(filters, subjects):
    assert nats.subjects(filters) == subjects


def configured(rights):
    base = nats.config(Path("store"), port=1, mqtt_port=2, ingest_password="secret", anonymous=False)
    text = nats.with_identities(base, [("a", "$2b$04$digest", rights)])
    [line] = [line for line in text.splitlines() if 'user: "a"' in line]
    return json.loads(line.split("permissions: ")[1].rstrip(" }") + "}}")


def test_no_wildcard_reaches_the_servers_own_subjects():
    """`+/API/#` would match `$JS/API/…`."""
    assert "$JS.>" in configured(Rights(["+/API/#"], []))["publish"]["deny"]
    assert configured(Rights(["a/#"], []))["publish"] == {"allow": ["a", "a.>"], "deny": []}


def test_a_device_without_topics_may_publish_nothing():
    assert configured(Rights([], []))["publish"] == {"deny": [">"]}


def test_mosquitto_gives_each_device_its_own_rights():
    devices = {"b": Rights(["b/#"], ["cmnd/b/#"])}
    own = mosquitto_acl.text(devices, shared=None, anonymous=False)
    open_to_all = mosquitto_acl.text(devices, shared=None, anonymous=True)
    shared = mosquitto_acl.text({}, shared="device", anonymous=False)

    assert own.splitlines()[1:] == [
        "user pipeline",
        "topic readwrite #",
        "topic read $SYS/#",
        "user b",
        "topic write b/#",
        "topic read cmnd/b/#",
    ]
    assert open_to_all.splitlines()[1:4] == ["topic write #", "topic read cmnd/#", "topic read +/set/#"]
    assert shared.splitlines()[4:] == ["user device", "topic write #", "topic read cmnd/#", "topic read +/set/#"]


def test_the_brokers_address_is_one_that_devices_reach():
    assert broker_address(":1883", NETWORKS) == BrokerAddress("192.168.1.7", 1883)
    assert broker_address("10.0.0.2:1883", NETWORKS) == BrokerAddress("10.0.0.2", 1883)
    assert broker_address("0.0.0.0:1883", []) == BrokerAddress("127.0.0.1", 1883)
