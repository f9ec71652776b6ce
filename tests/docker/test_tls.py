"""The stack in containers with TLS on every link, the database and the certificates of devices among them.

The stories build on one another: one stack is started, and removed at the end.
"""

import socket
import ssl

import pytest
from support.compose import Compose, numbers
from support.conditions import wait_until

pytestmark = pytest.mark.docker

CONNECT = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a"


@pytest.fixture(scope="module")
def up(engine, tmp_path_factory):
    """The stack, started by `up` with certificates that `certs` made."""
    folder = tmp_path_factory.mktemp("secured")
    tls = folder / "tls"
    stack = Compose(folder, TLS="on", TLS_FOLDER=str(tls), MQTT_TLS_CLIENT_CA_FILE=str(tls / "ca.pem"))
    stack.tls = tls
    try:
        assert "TLS = 'on'" in stack.run("up", code=2)
        assert not stack.containers()
        stack.run("certs", "--device", "greenhouse")
        stack.said = stack.run("up")
        yield stack
    finally:
        stack.remove()


def shown(up, port, *, name="127.0.0.1", ca=None, device=True):
    """What a server shows to a client, and the first that it says to an MQTT CONNECT. Raises what TLS raises."""
    context = ssl.create_default_context(cafile=ca or up.tls / "ca.pem")
    if device:
        context.load_cert_chain(up.tls / "devices/greenhouse.pem", up.tls / "devices/greenhouse.key")
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname=name) as secured,
    ):
        serial = secured.getpeercert()["serialNumber"]
        secured.sendall(CONNECT)
        return serial, secured.recv(4)


def in_clear_text(port):
    """The first byte that a server says to an MQTT CONNECT without TLS."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(CONNECT)
        try:
            return connection.recv(1)
        except ConnectionResetError:
            return b""


def test_up_says_by_which_schemes_it_is_reached(up):
    assert f"mqtts://127.0.0.1:{up.mqtt_port}" in up.said
    assert f"wss://127.0.0.1:{up.ws_port}/ws" in up.said


def test_the_account_of_a_fleet_over_tls_closes(up, tmp_path):
    with up.load(tmp_path, rate=200, seconds=3) as account:
        code, text = account()
    assert code == 0, text
    assert {600} == set(numbers(text))
    assert "\nACCOUNTED FOR: every message" in up.run("audit")
    up.run("publish", "croissance/co2", "1")
    assert "No errors in the logs." in up.run("status")


def test_every_connection_to_the_database_is_encrypted(up):
    """And one in clear text is refused by the server."""
    seen = "SELECT count(*) FILTER (WHERE ssl), count(*) FROM pg_stat_activity JOIN pg_stat_ssl USING (pid)"
    ask = ("psql", "-U", "postgres", "-d", "seve", "-Atc", f"{seen} WHERE client_addr IS NOT NULL")
    encrypted, every = map(int, up.compose("exec", "-T", "postgres", *ask).strip().split("|"))
    assert encrypted == every > 0
    refused = "psql 'postgresql://seve_writer:x@127.0.0.1/seve?sslmode=disable' 2>&1 || true"
    assert "no encryption" in up.compose("exec", "-T", "postgres", "sh", "-c", refused)


def test_strangers_are_refused(up, tmp_path):
    """Another CA, another name, no certificate of a device, no TLS at all; NATS says nothing in clear text."""
    other = tmp_path / "tls"
    Compose(tmp_path, TLS_FOLDER=str(other)).run("certs")
    for port in (up.mqtt_port, up.ws_port):
        with pytest.raises(ssl.SSLCertVerificationError, match="certificate verify failed"):
            shown(up, port, ca=other / "ca.pem")
        with pytest.raises(ssl.SSLCertVerificationError, match=r"not valid for 'elsewhere\.example'"):
            shown(up, port, name="elsewhere.example")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        assert shown(up, up.mqtt_port, device=False)[1]
    assert shown(up, up.mqtt_port)[1] == b"\x20\x02\x00\x00"  # CONNACK: let in
    assert in_clear_text(up.mqtt_port) in (b"", b"\x15")  # nothing, or an alert of TLS
    ask = "import socket; c = socket.create_connection(('nats', 4222), 5); c.settimeout(3); print(c.recv(100))"
    said = up.run("run", "python", "-c", ask, code=1)
    assert "INFO" not in said


def test_renewed_certificates_are_shown_without_a_restart(up):
    before = {port: shown(up, port)[0] for port in (up.mqtt_port, up.ws_port)}
    ids = up.compose("ps", "-q")
    up.run("certs", "--renew")
    wait_until(lambda: not {shown(up, port)[0] for port in before} & set(before.values()), "the new certificates")
    assert ids == up.compose("ps", "-q")
    assert "No errors in the logs." in up.run("status")


def test_no_key_is_readable_by_other_users(up):
    assert (up.secrets.stat().st_mode & 0o777) == 0o700
    assert {path.stat().st_mode & 0o777 for path in up.tls.rglob("*.key")} == {0o600}
