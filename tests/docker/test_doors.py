"""MQTT opened to the network: never without a password by mistake, and then for those who know it."""

import pytest
from paho.mqtt.client import Client, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion
from support.compose import ROOT, Compose
from support.conditions import free_port, wait_until
from support.containers import images

pytestmark = pytest.mark.docker

PREPARE = [str(ROOT / "seve"), "prepare"]


@pytest.fixture
def opened(engine, tmp_path):
    """A project whose MQTT is open to the network, with a user and a password; not started."""
    port = free_port()
    stack = Compose(
        tmp_path,
        MQTT_LISTEN=f"0.0.0.0:{port}",
        MQTT_USERNAME="greenhouse",
        MQTT_PASSWORD="dew & mist",
        MQTT_ACCESS="password",
        **images(),
    )
    stack.mqtt_port = port
    yield stack
    stack.remove()


def reason(port, user=None, password=None, host="127.0.0.2"):
    """What the broker answers to a CONNECT; `host` is an address other than the usual loopback one."""
    said = []
    client = Client(CallbackAPIVersion.VERSION2)
    client.on_connect = lambda *found: said.append(str(found[3]))  # 3: the reason
    if user:
        client.username_pw_set(user, password)
    client.connect(host, port)
    client.loop_start()
    wait_until(lambda: said, "an answer to CONNECT")
    sent: MQTTMessageInfo = client.publish("croissance/co2", "450.5", 1)
    if said[0] == "Success":
        sent.wait_for_publish(10)
    client.disconnect()
    client.loop_stop()
    return said[0]


def test_opening_mqtt_without_a_password_is_refused_by_name(engine, tmp_path):
    stack = Compose(tmp_path, MQTT_LISTEN="0.0.0.0:1883")
    said = stack.run("up", code=2)
    assert "setting MQTT_LISTEN = '0.0.0.0:1883' opens MQTT to the network" in said
    assert not stack.containers()


def test_opening_the_websocket_without_tokens_is_refused_by_name(engine, tmp_path):
    stack = Compose(tmp_path, WS_LISTEN="0.0.0.0:8080")
    assert "setting WS_LISTEN = '0.0.0.0:8080' is reachable from other machines" in stack.run("up", code=2)
    assert not stack.containers()


def test_a_device_needs_its_password_once_mqtt_is_open(opened):
    opened.execute(PREPARE)
    opened.compose("up", "-d", "--no-deps", "--wait", "mosquitto")
    assert reason(opened.mqtt_port) == "Not authorized"
    assert reason(opened.mqtt_port, "greenhouse", "wrong") == "Not authorized"
    assert reason(opened.mqtt_port, "greenhouse", "dew & mist") == "Success"
    assert reason(opened.mqtt_port, "pipeline", (opened.secrets / "mqtt_pipeline").read_text()) == "Success"


def test_the_password_of_devices_is_kept_as_a_digest(opened):
    opened.execute(PREPARE)
    kept = (opened.secrets / "mqtt_passwords").read_text()
    assert "greenhouse:$7$" in kept
    assert "dew & mist" not in kept
    assert (opened.secrets.stat().st_mode & 0o777) == 0o700
