"""Nothing listens beyond loopback unless a setting says so."""

import pytest
from seve_embedded.settings import StackSettings
from seve_runtime.errors import SettingsError
from seve_runtime.settings import load


def faults(**environ):
    with pytest.raises(SettingsError) as caught:
        load(StackSettings, environ)
    return caught.value.faults


def test_everything_is_on_loopback_by_default():
    """Without any setting, the stack can only be reached from this machine."""
    settings = load(StackSettings, {})
    assert (settings.mqtt_listen, settings.ws_listen) == ("127.0.0.1:1883", "127.0.0.1:8080")


def test_refuses_to_open_mqtt_to_the_network_without_a_password():
    """The refusal names the setting and both alternatives."""
    [fault] = faults(MQTT_LISTEN="0.0.0.0:1883")
    assert fault.startswith("MQTT_LISTEN = '0.0.0.0:1883' opens MQTT to the network")
    assert "MQTT_PASSWORD" in fault
    assert "MQTT_ALLOW_ANONYMOUS=true" in fault


@pytest.mark.parametrize(
    "environ",
    [
        {"MQTT_LISTEN": "0.0.0.0:8883", "MQTT_USERNAME": "device", "MQTT_PASSWORD": "x", "TLS": "on"},
        {"MQTT_LISTEN": "0.0.0.0:8883", "MQTT_USERNAME": "device", "MQTT_PASSWORD": "x", "MQTT_TLS": "on"},
        {"MQTT_LISTEN": ":1883", "MQTT_ALLOW_ANONYMOUS": "true", "MQTT_ALLOW_UNENCRYPTED": "true"},
        {"MQTT_LISTEN": "0.0.0.0:8883", "MQTT_DEVICES": "own", "TLS": "on"},
        {"MQTT_LISTEN": "localhost:1883"},
        {"MQTT_LISTEN": "[::1]:1883"},
    ],
)
def test_opens_mqtt_if_the_settings_allow_it(environ):
    """With a password and TLS, with settings that allow both faults explicitly, or on loopback."""
    assert load(StackSettings, environ).mqtt_listen == environ["MQTT_LISTEN"]


@pytest.mark.parametrize("more", [{}, {"TLS": "on", "MQTT_TLS": "off"}])
def test_refuses_to_open_mqtt_to_the_network_in_clear_text(more):
    """Anybody on the network could read the password."""
    [fault] = faults(MQTT_LISTEN="0.0.0.0:1883", MQTT_USERNAME="device", MQTT_PASSWORD="x", **more)
    assert fault.startswith("MQTT_LISTEN = '0.0.0.0:1883' opens MQTT to the network in clear text")
    assert "MQTT_TLS=on" in fault
    assert "MQTT_ALLOW_UNENCRYPTED=true" in fault


def test_the_embedded_database_has_no_tls_and_says_so():
    """It always listens on loopback."""
    [fault] = faults(POSTGRES_TLS="on")
    assert fault.startswith("POSTGRES_TLS = 'on'")


def test_devices_with_identities_share_no_password():
    """A shared password that is still in .env is ignored, and anonymous devices cannot be allowed either."""
    shared = {"MQTT_USERNAME": "device", "MQTT_PASSWORD": "x"}
    assert load(StackSettings, shared).login == ("device", "x")
    assert load(StackSettings, {**shared, "MQTT_DEVICES": "own"}).login is None
    [fault] = faults(MQTT_DEVICES="own", MQTT_ALLOW_ANONYMOUS="true")
    assert "contradict each other" in fault


def test_a_user_name_needs_a_password():
    """So is a password without a name."""
    assert faults(MQTT_USERNAME="device") == ["MQTT_USERNAME and MQTT_PASSWORD: set both or neither"]


@pytest.mark.parametrize("name", ["pipeline", "broker"])
def test_devices_cannot_have_a_user_name_of_the_stack(name):
    """NATS would have two users of one name."""
    assert faults(MQTT_USERNAME=name, MQTT_PASSWORD="x") == [
        f"MQTT_USERNAME = {name!r}: that name belongs to the stack itself"
    ]


@pytest.mark.parametrize("text", ["2", "sometimes", "2 m"])
def test_a_sync_interval_that_nats_does_not_accept_is_a_fault(text):
    """Found here, not in the log of a server that does not start."""
    [fault] = faults(NATS_SYNC_INTERVAL=text)
    assert fault.startswith("NATS_SYNC_INTERVAL")


@pytest.mark.parametrize("text", ["450", "much", "63MiB", "0"])
def test_memory_that_nats_cannot_keep_to_is_a_fault(text):
    """A number without a unit, and less than a server needs that nobody uses."""
    [fault] = faults(NATS_MEMORY_BYTES=text)
    assert fault.startswith(f"NATS_MEMORY_BYTES = {text!r}: expected")
