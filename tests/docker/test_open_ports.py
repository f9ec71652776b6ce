"""MQTT opened to the network: never without a password by mistake, and then for those who know it."""

import contextlib
import json
import socket

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
        MQTT_ALLOW_UNENCRYPTED="true",
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


def test_each_device_has_a_password_of_its_own_that_ends_at_once(engine, tmp_path):
    """Mosquitto in its container reads its users again; the shared password lets nobody in."""
    stack = Compose(tmp_path, MQTT_DEVICES="own", MQTT_USERNAME="device", MQTT_PASSWORD="shared", **images())
    stack.environment["MQTT_ACCESS"] = "password"
    try:
        stack.execute(PREPARE)
        stack.compose("up", "-d", "--no-deps", "--wait", "mosquitto")
        [made] = json.loads(stack.run("device", "add", "croissance", "--json"))
        login = made["module"], made["password"]
        assert reason(stack.mqtt_port, *login, host="127.0.0.1") == "Success"
        for other in ((None, None), ("device", "shared"), ("croissance", "wrong")):
            assert reason(stack.mqtt_port, *other, host="127.0.0.1") == "Not authorized"

        stack.run("device", "rotate", "croissance")
        assert reason(stack.mqtt_port, *login, host="127.0.0.1") == "Not authorized"
        assert "croissance/#" in stack.run("device", "list")
        assert "its connection is closed" in stack.run("device", "remove", "croissance")
        assert "No device has an identity" in stack.run("device", "list")
    finally:
        stack.remove()


def test_the_password_of_devices_is_kept_as_a_digest(opened):
    opened.execute(PREPARE)
    kept = (opened.secrets / "mqtt_passwords").read_text()
    assert "greenhouse:$7$" in kept
    assert "dew & mist" not in kept
    assert (opened.secrets.stat().st_mode & 0o777) == 0o700


def test_a_key_that_is_replaced_is_seen_in_the_container(engine, tmp_path):
    """By a file that is renamed to its name, as editors and secret managers do."""
    keys = tmp_path / "keys"
    keys.mkdir()
    keys.chmod(0o755)
    (keys / "jwt.pem").write_text("old")
    stack = Compose(tmp_path, JWT_PUBLIC_KEY_FILE=str(keys / "jwt.pem"), **images())
    prepared = stack.execute(["bash", "-c", 'eval "$(./seve prepare)"; echo "$JWT_KEYS_FOLDER" "$JWT_KEYS_NAME"'])
    stack.environment["JWT_KEYS_FOLDER"], stack.environment["JWT_KEYS_NAME"] = prepared.split()
    try:
        name = f"{stack.project}-keys"
        stack.compose("run", "-d", "--no-deps", "--name", name, "--entrypoint", "sleep", "broadcaster", "300")
        (keys / "new").write_text("new")
        (keys / "new").rename(keys / "jwt.pem")
        assert stack.docker("exec", name, "sh", "-c", 'cat "$JWT_PUBLIC_KEY_FILE"') == "new"
        variables = json.loads(stack.docker("inspect", name))[0]["Config"]["Env"]
        assert "JWT_PUBLIC_KEY_FILE=/etc/seve/keys/jwt.pem" in variables
    finally:
        stack.remove()


def closed(sock):
    """What came before the other side closed, b"" where nothing did."""
    with contextlib.suppress(ConnectionResetError):
        return b"".join(iter(lambda: sock.recv(4096), b""))
    return b""


def test_the_proxy_bounds_what_one_address_holds_open(engine, tmp_path):
    """Beyond the limit connections are refused; a request that is not finished is cut off."""
    files = "compose.yaml:compose.cluster.yaml"
    stack = Compose(tmp_path, COMPOSE_FILE=files, WS_MAX_CLIENTS_PER_ADDRESS="3", **images())
    try:
        stack.execute(PREPARE)
        stack.compose("up", "-d", "--no-deps", "proxy")
        wait_until(lambda: answers(stack.ws_port), "the proxy's answer")
        with contextlib.ExitStack() as several:
            open_ = [several.enter_context(half_a_request(stack.ws_port)) for _ in range(6)]
            said = [closed(sock) for sock in open_]
        assert sum(text.startswith(b"HTTP/1.1 408") for text in said) == 3
        assert said.count(b"") == 3
    finally:
        stack.remove()


def answers(port):
    """Whether a whole request is answered; 503, as there is no broadcaster."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return closed(sock).startswith(b"HTTP/1.1 503")
    return False


def half_a_request(port):
    sock = socket.create_connection(("127.0.0.1", port), timeout=60)
    sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
    return sock
