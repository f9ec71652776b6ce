"""Tokens: which clients may connect, which modules they see, and for how long. Real connections, generated keys."""

import json
import os
import subprocess
import sys
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from seve_broadcaster.auth.grants import origin_allowed
from seve_broadcaster.auth.jwt import Keys, Unauthorized, presented
from seve_broadcaster.settings import AuthSettings, Settings
from seve_runtime.errors import SettingsError
from seve_runtime.hosts import host_allowed
from seve_runtime.settings import load
from structlog.testing import capture_logs
from support.broadcasting import broadcasting, envelope, watching
from support.conditions import eventually
from websockets.exceptions import ConnectionClosed, InvalidStatus

SECRET = "a secret of at least thirty-two bytes, and of forty-eight too"
ED = ed25519.Ed25519PrivateKey.generate()
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def token(modules="*", key=SECRET, algorithm="HS256", seconds=60, headers=None, **claims):
    body = {"modules": modules, "exp": time.time() + seconds, **claims}
    return jwt.encode({k: v for k, v in body.items() if v is not None}, key, algorithm=algorithm, headers=headers)


def keys(**environ):
    return Keys(load(AuthSettings, environ))


@pytest.mark.parametrize(
    ("claim", "modules"),
    [("*", None), (["*"], None), (["a", "b"], {"a", "b"}), ("a", {"a"}), ([], set()), (None, set())],
)
def test_the_claim_decides_which_modules_are_visible(claim, modules):
    """A list of names or `*`; a token without it sees nothing."""
    grant = keys(JWT_SECRET=SECRET).verify(token(claim))
    assert grant.modules == (None if modules is None else frozenset(modules))


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (token(seconds=-60), "expired"),
        (token(key="another secret of thirty-two bytes or so"), "invalid"),
        (jwt.encode({"modules": "*"}, SECRET, algorithm="HS256"), "invalid"),
        (jwt.encode({"modules": "*", "exp": 9e9}, None, algorithm="none"), "invalid"),
        (token(key=SECRET, algorithm="HS384"), "invalid"),
        (token(modules={"a": 1}, seconds=86_400), "invalid"),  # made when tests are collected, long before it runs
        (token(modules=[1], seconds=86_400), "invalid"),
        ("no.token.at-all", "invalid"),
        ("", "invalid"),
    ],
)
def test_an_invalid_token_is_refused(bad, reason):
    """Expired, foreign, endless, unsigned, of another algorithm, or nonsense."""
    with pytest.raises(Unauthorized) as refusal:
        keys(JWT_SECRET=SECRET).verify(bad)
    assert reason == refusal.value.reason


def test_a_public_key_never_verifies_as_a_secret(tmp_path):
    """The classic confusion: a token signed by HS256 with the public key's text."""
    (tmp_path / "key.pem").write_bytes(pem(RSA))
    verifier = keys(JWT_PUBLIC_KEY_FILE=str(tmp_path / "key.pem"))
    header, body = (
        jwt.utils.base64url_encode(json.dumps(part).encode()).decode()
        for part in ({"alg": "HS256", "typ": "JWT"}, {"modules": "*", "exp": time.time() + 60})
    )
    import hashlib
    import hmac

    signature = hmac.new(pem(RSA), f"{header}.{body}".encode(), hashlib.sha256).digest()
    with pytest.raises(Unauthorized):
        verifier.verify(f"{header}.{body}.{jwt.utils.base64url_encode(signature).decode()}")
    assert verifier.verify(token(key=RSA, algorithm="RS256")).modules is None


def test_a_key_file_is_read_again_when_it_changes_and_kept_when_it_breaks(tmp_path):
    """Rotation without a restart; a half-written file locks nobody out."""
    path = tmp_path / "key.pem"
    path.write_bytes(pem(RSA))
    verifier = keys(JWT_PUBLIC_KEY_FILE=str(path))
    path.write_text("not a key")
    verifier.fresh()
    assert verifier.verify(token(key=RSA, algorithm="RS256"))
    path.write_bytes(pem(ED))
    verifier.fresh()
    assert verifier.verify(token(key=ED, algorithm="EdDSA"))
    with pytest.raises(Unauthorized):
        verifier.verify(token(key=RSA, algorithm="RS256"))


def test_a_set_of_keys_is_chosen_from_by_key_id(tmp_path):
    """JWKS: each key for its own algorithm; an unknown id is refused, and a secret in the set is ignored."""
    one, two = (
        json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(RSA.public_key())),
        json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(ED.public_key())),
    )
    secret = {"kty": "oct", "kid": "s", "alg": "HS256", "k": jwt.utils.base64url_encode(SECRET.encode()).decode()}
    ring = {"keys": [{**one, "kid": "r", "alg": "RS256"}, {**two, "kid": "e", "alg": "EdDSA"}, secret]}
    (tmp_path / "jwks.json").write_text(json.dumps(ring))
    verifier = keys(JWT_JWKS_FILE=str(tmp_path / "jwks.json"))
    assert verifier.verify(token(key=RSA, algorithm="RS256", headers={"kid": "r"}))
    assert verifier.verify(token(key=ED, algorithm="EdDSA", headers={"kid": "e"}))
    for bad in ({"kid": "x"}, {"kid": "s"}, {"kid": "e"}):
        with pytest.raises(Unauthorized):
            verifier.verify(token(headers=bad))


def test_audience_and_issuer_are_checked_if_they_are_set():
    """Otherwise a token needs neither."""
    strict = keys(JWT_SECRET=SECRET, JWT_AUDIENCE="screens", JWT_ISSUER="us")
    assert strict.verify(token(aud="screens", iss="us"))
    for wrong in ({"aud": "doors", "iss": "us"}, {"aud": "screens", "iss": "them"}, {"iss": "us"}, {"aud": "screens"}):
        with pytest.raises(Unauthorized):
            strict.verify(token(**wrong))
    assert keys(JWT_SECRET=SECRET).verify(token(aud="whoever"))


@pytest.mark.parametrize(
    ("environ", "fault"),
    [
        ({"JWT_SECRET": "short"}, "32 bytes"),
        ({"JWT_SECRET": SECRET, "JWT_JWKS_FILE": "x"}, "set only one of them"),
        ({"WS_LISTEN": "0.0.0.0:8080"}, "WS_ALLOW_UNAUTHENTICATED"),
        ({"WS_LISTEN": ":8080"}, "WS_ALLOW_UNAUTHENTICATED"),
    ],
)
def test_settings_that_would_leave_it_open_are_refused(environ, fault):
    """A weak secret, two keys at once, or an open port with neither a key nor WS_ALLOW_UNAUTHENTICATED."""
    with pytest.raises(SettingsError, match=fault):
        load(Settings, environ)


def test_a_key_file_that_cannot_be_used_is_named():
    """At the start, the error is one of the settings."""
    with pytest.raises(SettingsError, match="JWT_PUBLIC_KEY_FILE"):
        keys(JWT_PUBLIC_KEY_FILE="/nowhere/key.pem")


def test_a_token_is_found_in_the_header_or_among_the_subprotocols():
    """Browsers can set no header on a WebSocket."""
    assert presented("Bearer abc", []) == "abc"
    assert presented(None, ["seve", "bearer.abc"]) == "abc"
    assert presented("Basic abc", ["seve"]) is None


async def test_a_connection_needs_a_valid_token(nats_server, journal):
    """Refused before the handshake completes; `/api/modules` likewise."""
    async with broadcasting(nats_server.url, JWT_SECRET=SECRET) as url:
        for headers in [None, {"Authorization": "Bearer nonsense"}, {"Authorization": f"Bearer {token(seconds=-60)}"}]:
            with pytest.raises(InvalidStatus) as refusal:
                async with watching(url, headers=headers):
                    pass
            assert refusal.value.response.status_code == 401


async def test_a_browser_offers_its_token_as_a_subprotocol(nats_server, journal):
    """The server selects `seve` and never repeats the token."""
    offered = ["seve", f"bearer.{token(['a'])}"]
    async with (
        broadcasting(nats_server.url, JWT_SECRET=SECRET) as url,
        watching(url, modules=["a"], subprotocols=offered) as screen,
    ):
        assert screen.connection.subprotocol == "seve"
        await screen.until("live")


async def test_an_open_connection_ends_when_its_token_does(nats_server, journal):
    """1008, to the second: the token is checked not only at the handshake."""
    async with broadcasting(nats_server.url, JWT_SECRET=SECRET) as url:
        ending = token("*", seconds=-4)  # still valid for a second, because of the leeway
        async with watching(url, modules=["a"], headers={"Authorization": f"Bearer {ending}"}) as screen:
            await screen.until("live")
            with pytest.raises(ConnectionClosed):
                await screen.read()
            assert screen.connection.close_code == 1008


def jwks(**by_kid):
    public = {kid: json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key())) for kid, key in by_kid.items()}
    return json.dumps({"keys": [{**key, "kid": kid, "alg": "EdDSA"} for kid, key in public.items()]})


async def test_a_connection_ends_when_its_key_is_withdrawn(nats_server, journal, tmp_path):
    """1008; a connection by another key of the set stays. Another key under the same id does not count as the same."""
    path, other = tmp_path / "jwks.json", ed25519.Ed25519PrivateKey.generate()
    path.write_text(jwks(k1=ED, k2=other))
    async with broadcasting(nats_server.url, JWT_JWKS_FILE=str(path)) as url:
        shown = {kid: token("*", key, "EdDSA", headers={"kid": kid}) for kid, key in (("k1", ED), ("k2", other))}
        async with (
            watching(url, modules=["a"], headers={"Authorization": f"Bearer {shown['k1']}"}) as first,
            watching(url, modules=["a"], headers={"Authorization": f"Bearer {shown['k2']}"}) as second,
        ):
            await first.until("live")
            await second.until("live")
            (tmp_path / "new").write_text(jwks(k1=ed25519.Ed25519PrivateKey.generate(), k2=other))
            (tmp_path / "new").replace(path)
            with pytest.raises(ConnectionClosed):
                await first.read()
            assert first.connection.close_code == 1008
            await journal.publish(envelope("a", 1.0))
            assert (await second.read())["data"]["value"] == 1.0


def test_a_token_that_holds_longer_than_allowed_is_refused():
    """JWT_MAX_AGE bounds how far ahead `exp` lies; without it there is no bound."""
    limited, endless = keys(JWT_SECRET=SECRET, JWT_MAX_AGE="1h"), keys(JWT_SECRET=SECRET)
    assert limited.verify(token(seconds=3590)).modules is None
    for far in (3700, 1e300):
        with pytest.raises(Unauthorized) as refusal:
            limited.verify(token(seconds=far))
        assert refusal.value.reason == "too_long"
        assert endless.verify(token(seconds=far)).modules is None


@pytest.mark.parametrize("kind", ["pem", "jwks"])
def test_a_short_rsa_key_is_refused(tmp_path, kind):
    """1,024 bits can be broken; the error says how many are needed."""
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    path = tmp_path / "key"
    if kind == "pem":
        path.write_bytes(pem(short))
    else:
        key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(short.public_key()))
        path.write_text(json.dumps({"keys": [{**key, "kid": "k", "alg": "RS256"}]}))
    with pytest.raises(SettingsError, match="2048"):
        keys(**{"JWT_PUBLIC_KEY_FILE" if kind == "pem" else "JWT_JWKS_FILE": str(path)})


def test_a_broken_key_file_is_logged_ever_more_rarely(tmp_path):
    """Checked every second, it is logged the 1st, 2nd, 4th and 8th time; and at once when it breaks again."""
    path = tmp_path / "key.pem"
    path.write_bytes(pem(ED))
    verifier = keys(JWT_PUBLIC_KEY_FILE=str(path))
    for _ in range(2):
        path.write_text("broken")
        with capture_logs() as logs:
            for _ in range(10):
                verifier.fresh()
        assert [line["log_level"] for line in logs] == ["warning"] * 4
        path.write_bytes(pem(RSA))
        verifier.fresh()


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost", True),
        ("LOCALHOST:8080", True),
        ("127.0.0.1:99", True),
        ("[::1]:8080", True),
        ("seve.example", True),
        ("Seve.Example:443", True),
        ("evil.example", False),
        ("127.0.0.1.nip.io", False),
        ("seve.example@evil.example", False),
        ("seve.example:99999", False),
        ("localhost ", False),
        ("", False),
        (None, False),
    ],
)
def test_a_host_is_a_literal_address_localhost_or_listed(host, allowed):
    """Any other name may belong to a foreign page and be resolved to this server (DNS rebinding)."""
    assert host_allowed(host, ["seve.example"]) is allowed


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        (None, "localhost:8080", True),
        ("http://localhost:8080", "localhost:8080", True),
        ("http://LOCALHOST:8080", "localhost:8080", True),
        ("http://[::1]:8080", "[::1]:8080", True),
        ("https://seve.example", "seve.example", True),
        ("http://seve.example", "seve.example", True),
        ("https://seve.example", "seve.example:443", True),
        ("http://seve.example", "seve.example:80", True),
        ("https://board.example", "seve.example", True),
        ("https://BOARD.example", "seve.example", True),
        ("https://board.example:8443", "seve.example", False),
        ("http://localhost:9999", "localhost:8080", False),
        ("http://localhost", "localhost:8080", False),
        ("http://localhost:8080", "localhost", False),
        ("https://seve.example", "seve.example:80", False),
        ("http://evil.example:8080", "localhost:8080", False),
        ("ftp://localhost:8080", "localhost:8080", False),
        ("//localhost:8080", "localhost:8080", False),
        ("http://localhost:port", "localhost:8080", False),
        ("null", "localhost:8080", False),
        ("", "localhost:8080", False),
    ],
)
def test_an_origin_is_this_server_s_own_or_listed(origin, host, allowed):
    """Scheme, host and port; the same host on another port is another program."""
    assert origin_allowed(origin, host, ["https://board.example/"]) is allowed


def test_any_origin_may_be_allowed_outright():
    """`*` allows every origin."""
    assert origin_allowed("https://evil.example", "localhost", ["*"])


NAMES = st.sampled_from(["croissance", "serre-2", "*", "croissance.*", "", "serre%2D2", "CROISSANCE", "serre-2 "])
TOKENS = st.sampled_from(["0-0-0", "ffffffffffffffff-1-0", "1-1-ffff", "x", ""])
MESSAGES = st.one_of(
    st.fixed_dictionaries(
        {"action": st.sampled_from(["subscribe", "unsubscribe"]), "modules": st.lists(NAMES, max_size=4) | NAMES},
        optional={
            "sensors": st.lists(st.text(max_size=5), max_size=3),
            "since": TOKENS,
            "slow": st.sampled_from(["conflate", "disconnect"]),
            "batch": st.booleans(),
            "grant": st.just("*"),
            "moduleId": st.just("serre-2"),
        },
    ).map(json.dumps),
    st.text(max_size=30),
    st.recursive(st.none() | st.booleans() | st.text(max_size=5), st.lists, max_leaves=5).map(json.dumps),
)


async def test_a_token_for_one_module_gets_nothing_of_another(nats_server, journal):
    """A hundred connections send several requests each; every frame to them is checked."""
    said = []

    @settings(max_examples=100, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(MESSAGES, min_size=1, max_size=8))
    def collect(messages):
        said.append(messages)

    collect()
    async with broadcasting(
        nats_server.url, JWT_SECRET=SECRET, RECENT_MAX_BYTES="2KiB", WS_MAX_CLIENTS_PER_ADDRESS="1000"
    ) as url:
        headers = {"Authorization": f"Bearer {token(['croissance'])}"}
        seen = set()
        for round_, messages in enumerate(said):
            for module in ("croissance", "serre-2"):
                await journal.publish(envelope(module, float(round_)))
                await journal.publish(envelope(module, {"status": "online"}, kind="presence"))
            async with watching(f"{url}?module=serre-2&module=croissance", headers=headers) as screen:
                for message in messages:
                    await screen.connection.send(message)
                await screen.say(action="subscribe", modules=["croissance"], batch=False)
                await journal.publish(envelope("serre-2", -1.0), envelope("serre-2", -2.0))
                await journal.publish(envelope("croissance", round_ + 0.5))
                frames = [await screen.read()]
                while not (frames[-1]["event"] == "mqtt-message" and frames[-1]["data"]["value"] == round_ + 0.5):
                    frames.append(await screen.read())
            for frame in frames:
                data = frame.get("data", [])
                seen |= {one["moduleId"] for one in (data if isinstance(data, list) else [data])}
                seen |= {frame["module"]} if "module" in frame else set()
                assert "serre-2" not in frame.get("modules", [])
    assert seen == {"croissance"}


async def test_api_modules_is_limited_to_the_token(nats_server, journal):
    """`/api/modules` shows only the modules that the token allows."""
    import urllib.request
    from asyncio import to_thread

    async with broadcasting(nats_server.url, JWT_SECRET=SECRET) as url:
        await journal.publish(envelope("a", 1.0))
        await journal.publish(envelope("b", 1.0))
        await eventually(lambda: url.broadcaster.metric("modules") == 2, "both modules known")
        request = urllib.request.Request(
            url.replace("ws://", "http://").replace("/ws", "/api/modules"),
            headers={"Authorization": f"Bearer {token(['a'])}"},
        )

        def get():
            with urllib.request.urlopen(request, timeout=5) as answer:
                return json.load(answer)

        assert [module["module"] for module in (await to_thread(get))["modules"]] == ["a"]


@pytest.mark.parametrize("signer", ["secret", "key"])
def test_the_command_makes_a_token_that_holds(tmp_path, signer):
    """`seve-broadcaster token`: for development, from the same settings."""
    (tmp_path / "private.pem").write_bytes(ED.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "public.pem").write_bytes(pem(ED))
    environ = {"JWT_SECRET": SECRET} if signer == "secret" else {"JWT_PUBLIC_KEY_FILE": str(tmp_path / "public.pem")}
    more = [] if signer == "secret" else ["--key", str(tmp_path / "private.pem")]
    command = [sys.executable, "-m", "seve_broadcaster", "token", "--modules", "a,b", *more]
    made = subprocess.run(command, env={**os.environ, **environ}, capture_output=True, text=True, check=True)
    grant = keys(**environ).verify(made.stdout.strip())
    assert grant.modules == {"a", "b"}


def test_the_token_command_names_missing_settings():
    """No key, no token; exit code 2."""
    command = [sys.executable, "-m", "seve_broadcaster", "token", "--modules", "*"]
    made = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert (made.returncode, "JWT_SECRET" in made.stderr) == (2, True)
