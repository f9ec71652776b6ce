"""TLS of clients: the CA that they trust, the name that they expect, and the setting that a fault names."""

import socket
import ssl
import threading
from contextlib import suppress

import pytest
from seve_runtime.errors import SettingsError
from seve_runtime.nats.connection import NatsSettings, tls_options
from seve_runtime.settings import load
from seve_runtime.tls import Pair, client_context, server_context
from support.certificates import certify


@pytest.fixture
def folder(tmp_path):
    return certify(tmp_path, names=("mqtt.example.org",))


def handshake(folder, context, name):
    """Let a client connect to an MQTT server as `name`; return the TLS version. Raises the client's error."""
    server = server_context(Pair(folder / "mqtt.pem", folder / "mqtt.key"))
    ours, theirs = socket.socketpair()

    def serve():
        with theirs, suppress(OSError):
            server.wrap_socket(theirs, server_side=True).close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with ours, context.wrap_socket(ours, server_hostname=name) as secured:
            return secured.version()
    finally:
        thread.join()


def test_a_client_expects_the_name_it_connects_to_unless_another_is_set(folder):
    """A certificate from elsewhere has the name of a host, and no address of this machine."""
    ca = str(folder / "ca.pem")
    assert handshake(folder, client_context("MQTT", ca), "mqtt.example.org") == "TLSv1.3"
    with pytest.raises(ssl.SSLCertVerificationError, match=r"not valid for '192\.0\.2\.1'"):
        handshake(folder, client_context("MQTT", ca), "192.0.2.1")
    with_name = client_context("MQTT", ca, server_name="mqtt.example.org")
    assert handshake(folder, with_name, "192.0.2.1") == "TLSv1.3"


def test_a_client_without_a_ca_file_trusts_the_system_s_certificates(folder):
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate verify failed"):
        handshake(folder, client_context("MQTT", None), "localhost")


def test_a_fault_names_the_setting_of_the_file(folder, tmp_path):
    ca, nothing = str(folder / "ca.pem"), str(tmp_path / "none.pem")
    with pytest.raises(SettingsError, match=r"^WS_CA_FILE = .*none\.pem': No such file or directory"):
        client_context("WS", nothing)
    with pytest.raises(SettingsError, match=r"^MQTT_CERT_FILE = .*, MQTT_KEY_FILE = .*: the key does not fit"):
        client_context("MQTT", ca, str(folder / "mqtt.pem"), str(folder / "ws.key"))


@pytest.mark.parametrize(
    ("environ", "fault"),
    [
        ({"NATS_CA_FILE": "ca.pem"}, "NATS_CA_FILE, NATS_CERT_FILE and NATS_KEY_FILE need NATS_URL=tls://"),
        ({"NATS_URL": "tls://a:1,nats://b:1"}, "NATS_URL: either all servers are tls:// or none is"),
        ({"NATS_URL": "tls://a:1", "NATS_KEY_FILE": "a.key"}, "NATS_KEY_FILE needs NATS_CERT_FILE"),
    ],
)
def test_a_fault_names_the_nats_settings_that_contradict_each_other(environ, fault):
    with pytest.raises(SettingsError) as caught:
        load(NatsSettings, environ)
    assert caught.value.faults == [fault]


def test_a_nats_client_uses_no_tls_without_tls_in_its_url():
    assert tls_options(load(NatsSettings, {})) == {}
