"""Refusals, certificates and settings of the MQTT session: each says which."""

import contextlib
import shutil
import socket
import subprocess
import threading

import pytest
from seve_ingest.settings import Settings
from seve_runtime.errors import SettingsError
from seve_runtime.settings import load
from support.conditions import free_port, wait_until
from support.ingest import drain
from support.mosquitto import Mosquitto, program
from support.mqtt_load import send


class Refusing:
    """A broker that accepts the connection and refuses every subscription, or the login."""

    def __init__(self, connack, suback):
        self._server = socket.create_server(("127.0.0.1", 0))
        self.mqtt_url = f"mqtt://127.0.0.1:{self._server.getsockname()[1]}"
        self._connack, self._suback = connack, suback
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            with client, contextlib.suppress(ConnectionResetError):  # ingest leaves as it likes
                client.recv(1000)
                client.sendall(self._connack)
                while packet := client.recv(1000):
                    if packet[0] == 0x82:
                        client.sendall(b"\x90\x03" + packet[2:4] + self._suback)

    def close(self):
        self._server.close()


@pytest.fixture
def refusing():
    """Makes such brokers, and closes them."""
    made = []

    def make(connack, suback):
        made.append(Refusing(connack, suback))
        return made[-1]

    yield make
    for broker in made:
        broker.close()


@pytest.mark.parametrize(
    ("connack", "suback", "words"),
    [
        (b"\x20\x02\x00\x05", b"\x80", "login refused: Not authorized"),
        (b"\x20\x02\x00\x04", b"\x80", "login refused: Bad user name or password"),
        (b"\x20\x02\x00\x00", b"\x80", "subscription refused: #"),
    ],
)
async def test_a_refusal_says_which(streams, run_ingest, refusing, connack, suback, words):
    """In the log and in what readiness waits for."""
    broker = refusing(connack, suback)
    ingest = run_ingest(broker, streams)
    ingest.start(wait=False)
    wait_until(lambda: words in ingest.ask("/health/ready"), words)
    assert words in ingest.log.read_text()
    assert ingest.stop() == 0


async def test_ingest_waits_for_an_unreachable_broker(streams, run_ingest, tmp_path):
    """Services start in any order; a stop meanwhile is a clean one."""
    if program() is None:
        pytest.skip("the program `mosquitto` is not installed")
    (tmp_path / "mosquitto").mkdir()
    broker = Mosquitto(tmp_path / "mosquitto")
    ingest = run_ingest(broker, streams)
    ingest.start(wait=False)
    wait_until(lambda: "cannot connect" in ingest.ask("/health/ready"), "waiting for the broker")
    broker.start()
    ingest.wait_ready()
    broker.stop()
    wait_until(lambda: not ingest.ready(), "not ready")
    assert ingest.stop() == 0


@pytest.fixture
def certificates(tmp_path):
    """A certificate authority, and a server and a client that it vouches for, made by the program `openssl`."""
    if shutil.which("openssl") is None or program() is None:
        pytest.skip("the programs `openssl` and `mosquitto` are not both installed")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=tmp_path)

    new = ("-newkey", "rsa:2048", "-nodes")
    openssl("req", "-x509", *new, "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.crt", "-days", "2")
    for name in ("broker.example", "client"):
        openssl("req", *new, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        (tmp_path / "ext").write_text(f"subjectAltName=DNS:{name}")
        signing = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "ext", "-days", "2")
        openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.crt", *signing)
    return tmp_path


async def test_tls_with_a_client_certificate_and_another_server_name(streams, run_ingest, certificates, request):
    """A burst longer than a TLS record arrives whole; without the right name nothing is connected."""
    folder, secured = certificates, free_port()
    (folder / "mosquitto").mkdir()
    extra = (
        f"listener {secured} 127.0.0.1\ncafile {folder}/ca.crt\nrequire_certificate true\n"
        f"certfile {folder}/broker.example.crt\nkeyfile {folder}/broker.example.key"
    )
    broker = Mosquitto(folder / "mosquitto", extra=extra)
    request.addfinalizer(broker.stop)
    broker.start()
    tls = {
        "MQTT_BROKER": f"mqtts://127.0.0.1:{secured}",
        "MQTT_CA_FILE": str(folder / "ca.crt"),
        "MQTT_CERT_FILE": str(folder / "client.crt"),
        "MQTT_KEY_FILE": str(folder / "client.key"),
    }
    wrong = run_ingest(broker, streams, **tls)
    wrong.start(wait=False)
    wait_until(lambda: "certificate verify failed" in wrong.ask("/health/ready"), "the name refused")
    wrong.stop()
    ingest = run_ingest(broker, streams, MQTT_SERVER_NAME="broker.example", **tls)
    ingest.start()
    send(broker, *[(f"m/x{number}", b'{"value": %d, "note": "%b"}' % (number, b"x" * 900)) for number in range(500)])
    assert list(map(float, range(500))) == sorted(each.value for each in await drain(streams, at_least=500))
    ingest.stop()


async def test_a_prefix_and_disjoint_filters_split_a_site(mosquitto, streams, run_ingest):
    """Two ingests, each with its own session, find every message once."""
    one = run_ingest(mosquitto, streams, MQTT_TOPICS="site/a/#", MQTT_CLIENT_ID="one", MQTT_TOPIC_PREFIX="site/a")
    two = run_ingest(mosquitto, streams, MQTT_TOPICS="site/b/#", MQTT_CLIENT_ID="two", MQTT_TOPIC_PREFIX="site/b")
    for ingest in (one, two):
        ingest.start()
    send(mosquitto, ("site/a/m1/co2", b"1"), ("site/b/m2/co2", b"2"), ("site/c/m3/co2", b"3"))
    found = await drain(streams, at_least=2)
    assert sorted((each.module_id, each.sensor_type) for each in found) == [("m1", "co2"), ("m2", "co2")]
    for ingest in (one, two):
        ingest.stop()


@pytest.mark.parametrize(
    ("environ", "fault"),
    [
        ({"MQTT_BROKER": "localhost"}, "MQTT_BROKER"),
        ({"MQTT_CA_FILE": "x"}, "MQTT_CA_FILE"),
        ({"MQTT_TOPICS": "a/#/b"}, "MQTT_TOPICS"),
        ({"MQTT_TOPICS": "a+/b"}, "MQTT_TOPICS"),
        ({"VALUE_RANGES": "temperature"}, "VALUE_RANGES"),
        ({"VALUE_RANGES": "temperature=9..1"}, "VALUE_RANGES"),
        ({"ROUTE_PRESETS": "esphom"}, "ROUTE_PRESETS"),
        ({"MAX_INFLIGHT": "20000"}, "MAX_INFLIGHT"),
        ({"MQTT_VERSION": "4"}, "MQTT_VERSION"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(environ, fault):
    """Before anything is connected."""
    with pytest.raises(SettingsError) as caught:
        load(Settings, environ)
    assert any(fault in each for each in caught.value.faults), caught.value.faults


@pytest.mark.parametrize(
    "environ",
    [
        {"DEDUP_TAIL": "0"},
        {"MQTT_BROKER": "mqtts://broker.example", "MQTT_CA_FILE": "ca.crt"},
        {"MQTT_TOPICS": "site/+/#,other", "MQTT_VERSION": "5", "MQTT_KEEPALIVE": "60"},
        {"ROUTE_PRESETS": "esphome, tasmota", "RETENTION": "30d", "MAX_INFLIGHT_BYTES": "16MiB"},
    ],
)
def test_settings_of_every_sort_are_read(environ):
    """As the README writes them."""
    assert Settings() != load(Settings, environ)


def test_ranges_are_read():
    """Least and most, by sensor type."""
    settings = load(Settings, {"VALUE_RANGES": "temperature=-40..85, humidity=0..100"})
    assert settings.rules.ranges() == {"temperature": (-40.0, 85.0), "humidity": (0.0, 100.0)}
