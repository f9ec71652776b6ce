"""Mosquitto as containers have it, with TLS: who is not what it seems gets nowhere, on either side."""

import socket
import ssl

import pytest
from support.certificates import certify
from support.conditions import wait_until
from support.mosquitto import DeployedMosquitto, program

pytestmark = pytest.mark.skipif(program() is None, reason="the program `mosquitto` is not installed")

CONNECT = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a"
LET_IN = b"\x20\x02\x00\x00"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A project's folder with certificates, one of them a device's."""
    folder = tmp_path_factory.mktemp("project")
    certify(folder, devices=("greenhouse",))
    return folder


@pytest.fixture(scope="module")
def broker(folder):
    """Mosquitto that asks devices for certificates."""
    server = DeployedMosquitto(folder, TLS="on", MQTT_TLS_CLIENT_CA_FILE=".seve/tls/ca.pem")
    server.start()
    yield server
    server.stop()


def talk(broker, ca, *, client=None, name="127.0.0.1"):
    """The serial number that the broker shows, and its answer to CONNECT. Raises what TLS raises."""
    context = ssl.create_default_context(cafile=ca)
    if client:
        context.load_cert_chain(client.with_suffix(".pem"), client.with_suffix(".key"))
    with (
        socket.create_connection(("127.0.0.1", broker.port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname=name) as secured,
    ):
        secured.sendall(CONNECT)
        return secured.getpeercert()["serialNumber"], secured.recv(4)


def test_a_device_with_its_certificate_is_let_in(broker, folder):
    tls = folder / ".seve/tls"
    assert talk(broker, tls / "ca.pem", client=tls / "devices/greenhouse")[1] == LET_IN


def test_a_device_without_one_or_with_a_stranger_s_is_not(broker, folder, tmp_path):
    stranger = certify(tmp_path, devices=("greenhouse",)) / "devices/greenhouse"
    for client in (None, stranger):
        with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
            assert talk(broker, folder / ".seve/tls/ca.pem", client=client)[1], "nothing, for an error"


def test_a_server_s_certificate_is_no_device_s(broker, folder):
    """The key that is stolen from one server opens no other."""
    with pytest.raises((ssl.SSLError, ConnectionError)):
        talk(broker, folder / ".seve/tls/ca.pem", client=folder / ".seve/tls/ws")


def test_a_client_that_trusts_another_ca_or_expects_another_name_leaves(broker, folder, tmp_path):
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate verify failed"):
        talk(broker, certify(tmp_path) / "ca.pem")
    with pytest.raises(ssl.SSLCertVerificationError, match=r"not valid for 'elsewhere\.example'"):
        talk(broker, folder / ".seve/tls/ca.pem", name="elsewhere.example")


def test_a_client_without_tls_gets_no_answer(broker):
    with socket.create_connection(("127.0.0.1", broker.port), timeout=20) as connection:
        connection.sendall(CONNECT)
        try:
            answer = connection.recv(1)
        except ConnectionResetError:
            answer = b""
    assert answer in (b"", b"\x15")  # nothing, or an alert of TLS


def test_a_renewed_certificate_is_shown_after_a_signal(broker, folder):
    tls = folder / ".seve/tls"
    before, _ = talk(broker, tls / "ca.pem", client=tls / "devices/greenhouse")
    for name in ("mqtt.pem", "mqtt.key"):
        (tls / name).unlink()
    certify(folder)
    broker.reload()
    wait_until(
        lambda: talk(broker, tls / "ca.pem", client=tls / "devices/greenhouse")[0] != before, "the new certificate"
    )
