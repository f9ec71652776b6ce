"""Tokens are verified: signature, end, audience, and the modules that they name. Settings that would let anyone in are
refused.
"""

import json
import time

import jwt
import pytest
from seve_broadcaster.auth.jwt import Unauthorized, presented
from seve_broadcaster.settings import Settings
from seve_runtime.errors import SettingsError
from seve_runtime.settings import load

from .tokens import RSA, SECRET, keys, pem, token


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


def test_audience_and_issuer_are_checked_if_they_are_set():
    """Otherwise a token needs neither."""
    strict = keys(JWT_AUDIENCE="screens", JWT_ISSUER="us", JWT_SECRET=SECRET)
    assert strict.verify(token(aud="screens", iss="us"))
    for wrong in ({"aud": "doors", "iss": "us"}, {"aud": "screens", "iss": "them"}, {"iss": "us"}, {"aud": "screens"}):
        with pytest.raises(Unauthorized):
            strict.verify(token(**wrong))
    assert keys(JWT_SECRET=SECRET).verify(token(aud="whoever"))


def test_a_token_that_holds_longer_than_allowed_is_refused():
    """JWT_MAX_AGE bounds how far ahead `exp` lies; without it there is no bound."""
    limited, endless = keys(JWT_SECRET=SECRET, JWT_MAX_AGE="1h"), keys(JWT_SECRET=SECRET)
    assert limited.verify(token(seconds=3590)).modules is None
    for far in (3700, 1e300):
        with pytest.raises(Unauthorized) as refusal:
            limited.verify(token(seconds=far))
        assert refusal.value.reason == "too_long"
        assert endless.verify(token(seconds=far)).modules is None


def test_a_token_is_found_in_the_header_or_among_the_subprotocols():
    """Browsers can set no header on a WebSocket."""
    assert presented("Bearer abc", []) == "abc"
    assert presented(None, ["seve", "bearer.abc"]) == "abc"
    assert presented("Basic abc", ["seve"]) is None


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
