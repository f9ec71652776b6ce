"""The whole stack with TLS on every link, as devices, WebSocket clients and strangers see it."""

import socket
import ssl
import subprocess
import sys

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from seve_embedded.supervision import processes
from support.certificates import certify
from support.conditions import wait_until
from support.project import Project

PORTS = ("MQTT_LISTEN", "NATS_PORT", "WS_LISTEN")
SETTINGS = "TLS=on\nMQTT_TLS_CLIENT_CA_FILE=.seve/tls/ca.pem\n"
HELLO = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A stack that requires certificates of devices; nothing of it runs when the tests are over."""
    project = Project(tmp_path_factory.mktemp("secured"))
    with (project.folder / ".env").open("a") as env:
        env.write(SETTINGS)
    refused = project.say("up", code=2)
    assert refused.count("`./seve certs` makes") == 3
    assert "a device" in project.say("certs", "--device", "greenhouse").lower()
    assert "mqtts://" in project.say("up")
    yield project
    project.say("down")
    assert processes.alive(project.state.pids) == []


@pytest.fixture(scope="module")
def folder(project):
    return project.folder / ".seve/tls"


def shown(port, *, ca, name="127.0.0.1", client=None):
    """Return the certificate that a port presents to a client that trusts `ca`. Raises ssl.SSLError."""
    context = ssl.create_default_context(cafile=ca)
    if client:
        context.load_cert_chain(client.with_suffix(".pem"), client.with_suffix(".key"))
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=name) as secured,
    ):
        return secured.getpeercert()["serialNumber"]


def admitted(port, folder, client=None):
    """Return whether the broker accepts a device."""
    answers = []
    device = Client(CallbackAPIVersion.VERSION2, "a-device")
    device.tls_set(folder / "ca.pem", *([f"{client}.pem", f"{client}.key"] if client else []))
    device.on_connect = lambda *found: answers.append(not found[3].is_failure)
    device.on_disconnect = lambda *_: answers.append(False)
    try:
        device.connect("127.0.0.1", port)
        device.loop_start()
        wait_until(lambda: answers, "an answer")
    except (ssl.SSLError, ConnectionError):
        return False
    finally:
        device.disconnect()
        device.loop_stop()
        device._reset_sockets()
    return answers[0]


def test_the_account_of_a_fleet_over_tls_closes(project):
    said = project.say("simulate", "--modules", "10", "--rate", "200", "--seconds", "3")
    assert "samples   sent 600 = acknowledged 600 = stored 600 = seen 600" in said
    assert "the account closes" in said
    assert "ACCOUNTED FOR: every message is in the database" in project.say("audit")
    project.say("publish", "croissance/co2", "1")
    status = project.say("status")
    assert "No errors in the logs." in status
    assert "waits for ingest" in status
    assert "eof_received" not in f"{said} {status}"


@pytest.mark.parametrize("port", PORTS)
def test_a_client_that_trusts_another_ca_refuses_the_server(project, port, tmp_path):
    other = certify(tmp_path) / "ca.pem"
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate verify failed"):
        shown(project.ports[port], ca=other)


@pytest.mark.parametrize("port", PORTS)
def test_a_name_that_is_not_in_the_certificate_is_refused(project, folder, port):
    with pytest.raises(ssl.SSLCertVerificationError, match=r"not valid for 'elsewhere\.example'"):
        shown(project.ports[port], ca=folder / "ca.pem", name="elsewhere.example")


@pytest.mark.parametrize(
    ("port", "words"), [*((port, HELLO) for port in PORTS), ("WS_LISTEN", b"GET / HTTP/1.1\r\n\r\n")]
)
def test_a_client_without_tls_gets_no_answer(project, port, words):
    """Otherwise NATS would announce itself and ask for the password in clear text."""
    with socket.create_connection(("127.0.0.1", project.ports[port]), timeout=20) as connection:
        connection.sendall(words)
        try:
            answer = connection.recv(1000)
        except ConnectionResetError:
            answer = b""
    assert answer[:1] in (b"", b"\x15")  # nothing, or a TLS alert


def test_a_device_without_its_certificate_is_refused(project, folder, tmp_path):
    port = project.ports["MQTT_LISTEN"]
    stranger = certify(tmp_path, devices=("greenhouse",)) / "devices/greenhouse"
    assert not admitted(port, folder)
    assert not admitted(port, folder, stranger)
    assert admitted(port, folder, folder / "devices/greenhouse")


def test_a_user_of_nats_sends_no_password_in_clear_text(project):
    """A server that takes the place of ours and asks for it in clear text does not get it."""
    environ = dict(line.split("=", 1) for line in project.say("run", "env").splitlines() if "=" in line)
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        asking = subprocess.Popen(
            [sys.executable, "-m", "seve_writer", "audit"],
            env={**environ, "NATS_URL": f"tls://127.0.0.1:{port}"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        connection, _ = stranger.accept()
        with connection:
            connection.sendall(b'INFO {"server_id":"x","version":"2.15.0","max_payload":1000,"auth_required":true}\r\n')
            heard = b"".join(iter(lambda: connection.recv(4096), b""))
        said = asking.communicate(timeout=60)[1]
    assert environ["NATS_PASSWORD"].encode() not in heard
    assert b"CONNECT" not in heard
    assert "NATS" in said


def test_renewed_certificates_are_shown_without_a_restart(project, folder):
    """By all three servers, while the stack keeps running."""
    client = folder / "devices/greenhouse"
    before = {port: shown(project.ports[port], ca=folder / "ca.pem", client=client) for port in PORTS}
    pids = {process.name: process.pid for process in processes.alive(project.state.pids)}
    project.say("certs", "--renew")
    wait_until(
        lambda: (
            not {shown(project.ports[port], ca=folder / "ca.pem", client=client) for port in PORTS} & {*before.values()}
        ),
        "the new certificates",
    )
    assert pids == {process.name: process.pid for process in processes.alive(project.state.pids)}
    project.say("simulate", "--modules", "5", "--rate", "50", "--seconds", "1")
