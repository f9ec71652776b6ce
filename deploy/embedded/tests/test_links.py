"""Which links speak TLS; and faults of their certificates are found before anything starts."""

import pytest
from seve_embedded.shared.links import faults, links, switched
from seve_runtime.errors import SettingsError
from support.certificates import certify

NAMES = {"mqtt": ["127.0.0.1"], "nats": ["127.0.0.1"], "ws": ["localhost"]}


def test_one_setting_turns_on_every_link_and_each_link_has_its_own():
    assert set(switched({"TLS": "on"})) == {"mqtt", "nats", "postgres", "ws"}
    assert set(switched({"TLS": "on", "NATS_TLS": "off"})) == {"mqtt", "postgres", "ws"}
    assert switched({"NATS_TLS": "on"}) == {"nats": "NATS_TLS"}
    assert switched({"TLS": "off", "MQTT_TLS": ""}) == {}
    own = {"WS_TLS_CERT_FILE": "a.pem", "WS_TLS_KEY_FILE": "a.key"}
    assert switched(own) == {"ws": "WS_TLS_CERT_FILE"}


@pytest.mark.parametrize(
    ("environ", "fault"),
    [
        ({"TLS": "yes"}, "TLS = 'yes': expected one of on, off"),
        ({"MQTT_TLS": "1"}, "MQTT_TLS = '1': expected one of on, off"),
        ({"MQTT_TLS_CERT_FILE": "a.pem"}, "MQTT_TLS_CERT_FILE and MQTT_TLS_KEY_FILE: set both or neither"),
        (
            {"WS_TLS": "off", "WS_TLS_CERT_FILE": "a", "WS_TLS_KEY_FILE": "b"},
            "WS_TLS = 'off' and WS_TLS_CERT_FILE: set one of them",
        ),
        ({"MQTT_TLS_CLIENT_CA_FILE": "a.pem"}, "MQTT_TLS_CLIENT_CA_FILE needs MQTT_TLS=on"),
    ],
)
def test_settings_that_clash_are_named(environ, fault):
    with pytest.raises(SettingsError) as caught:
        switched(environ)
    assert caught.value.faults == [fault]


def test_without_tls_no_file_is_needed(tmp_path):
    assert links({}, tmp_path) == ((None,) * 11)
    assert faults({}, tmp_path, NAMES) == []


def test_certificates_made_by_certs_are_accepted_on_every_link(tmp_path):
    certify(tmp_path)
    assert faults({"TLS": "on", "MQTT_TLS_CLIENT_CA_FILE": ".seve/tls/ca.pem"}, tmp_path, NAMES) == []


def test_only_their_owner_can_read_keys(tmp_path):
    folder = certify(tmp_path, devices=("a",))
    assert {path.stat().st_mode & 0o777 for path in folder.rglob("*.key")} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in (folder, folder / "devices")} == {0o700}


def spoil(tmp_path, fault):
    """Make certificates, with a fault in that of NATS."""
    folder = certify(tmp_path, days_ago=400 if fault == "expired" else 0)
    other = certify(make(tmp_path / "other"))
    if fault == "missing":
        (folder / "nats.key").unlink()
    if fault == "no certificate":
        (folder / "nats.pem").write_text("nonsense")
    if fault == "another's key":
        (other / "nats.key").replace(folder / "nats.key")
    if fault == "another CA":
        for file in ("nats.key", "nats.pem"):
            (other / file).replace(folder / file)
    if fault == "of a client":
        for file in ("pem", "key"):
            (folder / f"pipeline.{file}").replace(folder / f"nats.{file}")


def make(folder):
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("missing", "No such file or directory"),
        ("no certificate", "no certificate or key in PEM"),
        ("another's key", "the key does not fit the certificate"),
        ("another CA", "certificate verify failed|certificate signature failure|unable to get"),
        ("expired", "certificate has expired"),
        ("of a client", "unsuitable certificate purpose"),
    ],
)
def test_each_fault_of_a_certificate_is_one_error_that_names_the_setting(tmp_path, fault, words):
    spoil(tmp_path, fault)
    [told] = faults({"NATS_TLS": "on"}, tmp_path, NAMES)
    assert told.startswith("NATS_TLS = 'on', .seve/tls/nats.pem (`./seve certs` makes")
    assert any(word in told for word in words.split("|")), told


def test_a_name_that_is_not_in_the_certificate_is_a_fault(tmp_path):
    certify(tmp_path, names=("192.168.1.10",))
    assert faults({"TLS": "on"}, tmp_path, {"mqtt": ["192.168.1.10"]}) == []
    [told] = faults({"TLS": "on"}, tmp_path, {"mqtt": ["192.168.1.11"]})
    assert told.startswith("TLS = 'on', .seve/tls/mqtt.pem")
    assert told.endswith("IP address mismatch, certificate is not valid for '192.168.1.11'")


def test_a_certificate_from_elsewhere_may_have_another_name(tmp_path):
    """MQTT_SERVER_NAME tells ingest that name; without it the error names the setting."""
    certify(tmp_path, names=("mqtt.example.org",))
    own = {"MQTT_TLS_CERT_FILE": ".seve/tls/mqtt.pem", "MQTT_TLS_KEY_FILE": ".seve/tls/mqtt.key"}
    own |= {"MQTT_CA_FILE": ".seve/tls/ca.pem"}
    assert faults({**own, "MQTT_SERVER_NAME": "mqtt.example.org"}, tmp_path, NAMES) == []
    [told] = faults(own, tmp_path, {"mqtt": ["192.168.1.11"]})
    assert told.startswith("MQTT_TLS_CERT_FILE = '.seve/tls/mqtt.pem', MQTT_TLS_KEY_FILE = ")
    assert "MQTT_SERVER_NAME" in told


def test_ingest_needs_a_certificate_if_devices_do(tmp_path):
    certify(tmp_path)
    stranger = certify(make(tmp_path / "other")) / "ca.pem"
    [told] = faults({"MQTT_TLS": "on", "MQTT_TLS_CLIENT_CA_FILE": str(stranger)}, tmp_path, NAMES)
    assert told.startswith("MQTT_TLS_CLIENT_CA_FILE = ")
    assert "MQTT_CERT_FILE" in told
