"""TLS on the WebSocket port: certificates, their replacement, and what is refused without one. Real connections."""

import asyncio
import contextlib
import datetime as dt
import ipaddress
import json
import ssl
import urllib.request

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from seve_broadcaster.settings import Settings
from seve_broadcaster.websocket.tls import Certificate, check
from seve_runtime.errors import SettingsError
from seve_runtime.settings import load
from support.broadcasting import broadcasting, envelope, watching
from support.conditions import eventually
from support.raw_client import frame
from websockets.exceptions import InvalidMessage


def certificate(name, key, *, past):
    """Return a self-signed certificate of 127.0.0.1; with `past` it has expired."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC) - dt.timedelta(days=past)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )


def write(folder, name, encryption=None, *, past=False):
    """Write a certificate and its key into a folder, each replaced by a rename; give the settings that name them."""
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())
    for file, content in (("cert.pem", certificate(name, key, past=past)), ("key.pem", private)):
        (folder / "new").write_bytes(content)
        (folder / "new").replace(folder / file)
    return {"WS_TLS_CERT_FILE": str(folder / "cert.pem"), "WS_TLS_KEY_FILE": str(folder / "key.pem")}


def trusting(folder):
    return ssl.create_default_context(cafile=folder / "cert.pem")


async def presented(url):
    """Return the certificate that the server presents now."""
    port = int(url.rsplit(":", 1)[1].split("/")[0])
    return await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port))


async def test_page_data_and_websocket_speak_tls(nats_server, journal, tmp_path):
    """One port, one certificate; a client that speaks no TLS gets nothing."""
    async with broadcasting(nats_server.url, **write(tmp_path, "one")) as url:
        tls = trusting(tmp_path)
        secure = url.replace("ws://", "wss://")
        async with watching(secure, modules=["a"], tls=tls) as screen:
            await screen.until("live")
            await journal.publish(envelope("a", 1.0, metadata={"padding": "x" * 200_000}))
            assert (await screen.read())["data"]["value"] == 1.0

        def get():
            address = secure.replace("wss://", "https://").replace("/ws", "/api/modules")
            with urllib.request.urlopen(address, timeout=20, context=tls) as answer:
                return json.load(answer)

        assert [module["module"] for module in (await asyncio.to_thread(get))["modules"]] == ["a"]
        with pytest.raises((InvalidMessage, ConnectionError, EOFError)):
            async with watching(url):
                pass


async def test_a_certificate_that_is_replaced_is_shown_to_new_connections(nats_server, journal, tmp_path):
    """Within seconds, while open connections stay. A pair that does not match changes nothing."""
    async with broadcasting(nats_server.url, **write(tmp_path, "one")) as url:
        before = (tmp_path / "cert.pem").read_text()
        async with watching(url.replace("ws://", "wss://"), modules=["a"], tls=trusting(tmp_path)) as screen:
            await screen.until("live")
            assert await presented(url) == before
            write(tmp_path, "two")
            after = (tmp_path / "cert.pem").read_text()

            async def replaced():
                return await presented(url) == after

            await eventually(replaced, "the new certificate shown")
            await journal.publish(envelope("a", 1.0))
            assert (await screen.read())["data"]["value"] == 1.0


def test_a_pair_that_does_not_match_changes_nothing(tmp_path):
    """The old pair stays in use as a whole: a certificate without its key would refuse everybody."""
    files = write(tmp_path, "one")
    held = Certificate(*files.values())
    other = tmp_path / "other"
    other.mkdir()
    write(other, "two")
    (other / "cert.pem").replace(tmp_path / "cert.pem")
    held.fresh()
    server, client = ssl.MemoryBIO(), ssl.MemoryBIO()
    serving = held.context.wrap_bio(client, server, server_side=True)
    asking = ssl._create_unverified_context().wrap_bio(server, client)
    for _ in range(4):
        for side in (asking, serving):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    shown = x509.load_der_x509_certificate(asking.getpeercert(binary_form=True))
    assert shown.subject.rfc4514_string() == "CN=one"


async def test_a_client_that_reads_nothing_is_slow_over_tls_too(nats_server, journal, tmp_path):
    """The same rules hold over TLS: its buffer is bounded, and the connection is not read."""
    limits = {"WS_BUFFER_BYTES": "64KiB", "WS_MAX_MESSAGE_RATE": "1000000", "WS_PING_INTERVAL": "60s"}
    async with (
        broadcasting(nats_server.url, **limits, **write(tmp_path, "one")) as url,
        watching(url.replace("ws://", "wss://"), modules=["a"], tls=trusting(tmp_path)) as screen,
    ):
        await screen.until("live")
        transport = screen.connection.transport
        transport.pause_reading()
        pings = frame(b"x" * 125, opcode=0x9) * 1000
        for _ in range(200):
            transport.write(pings)
        metric = url.broadcaster.metric
        await eventually(lambda: metric("clients", pace="slow") == 1, "the client slow")
        assert metric("queue_bytes") < (64 << 10) + (1 << 20)
        transport.abort()


@pytest.mark.parametrize("fault", ["missing", "encrypted", "nonsense", "one only"])
def test_files_that_cannot_be_used_name_the_settings(tmp_path, fault):
    """At the start; nothing is asked at a terminal."""
    files = write(tmp_path, "one", BestAvailableEncryption(b"word") if fault == "encrypted" else None)
    if fault == "missing":
        (tmp_path / "key.pem").unlink()
    if fault == "nonsense":
        (tmp_path / "cert.pem").write_text("nonsense")
    if fault == "one only":
        del files["WS_TLS_KEY_FILE"]
    with pytest.raises(SettingsError, match=r"WS_TLS_CERT_FILE.*WS_TLS_KEY_FILE"):
        begin(files)


def begin(environ):
    """Load the settings and the certificate as the broadcaster does at its start."""
    settings = load(Settings, environ)
    Certificate(settings.ws_tls_cert_file, settings.ws_tls_key_file)


def test_an_open_port_without_tls_needs_ws_allow_unencrypted(tmp_path):
    """Anybody could read a token that is sent in clear text. The error names the settings."""
    opened = {"WS_LISTEN": "0.0.0.0:8080", "JWT_SECRET": "s" * 32}
    with pytest.raises(SettingsError, match=r"WS_TLS_CERT_FILE.*WS_ALLOW_UNENCRYPTED"):
        load(Settings, opened)
    assert load(Settings, {**opened, "WS_ALLOW_UNENCRYPTED": "true"})
    assert load(Settings, {**opened, **write(tmp_path, "one")}).tls
    assert not load(Settings, {"WS_LISTEN": "127.0.0.1:8080"}).tls


async def test_a_handshake_that_fails_is_counted_by_its_reason(nats_server, journal, tmp_path):
    """A client that speaks no TLS, and one that does not trust the certificate; the port goes on serving."""
    async with broadcasting(nats_server.url, **write(tmp_path, "one")) as url:
        secure = url.replace("ws://", "wss://")

        def failed(why):
            return url.broadcaster.metric("failed_tls_handshakes_total", reason=why) or 0

        for tls, address, why in ((None, url, "http_request"), (ssl.create_default_context(), secure, "unfinished")):
            before = failed(why)
            with pytest.raises((InvalidMessage, OSError, EOFError)):
                async with watching(address, tls=tls):
                    pass
            await eventually(lambda why=why, before=before: failed(why) > before, f"one more that is {why}")
        async with watching(secure, modules=["a"], tls=trusting(tmp_path)) as screen:
            await screen.until("live")


@pytest.mark.parametrize(
    ("fault", "words"),
    [("expired", "certificate has expired"), ("another's key", "the key does not fit the certificate")],
)
def test_the_check_names_what_clients_would_refuse(tmp_path, fault, words):
    """Before the start, and not at the first client's handshake."""
    files = write(tmp_path, "one", past=fault == "expired")
    if fault == "another's key":
        (tmp_path / "other").mkdir()
        files["WS_TLS_KEY_FILE"] = write(tmp_path / "other", "two")["WS_TLS_KEY_FILE"]
    with pytest.raises(SettingsError, match=rf"WS_TLS_CERT_FILE.*WS_TLS_KEY_FILE.*: {words}"):
        check(load(Settings, files))
