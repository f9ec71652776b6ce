"""Files of public keys: chosen from by key id, read again when they change, refused when they cannot be used."""

import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from seve_broadcaster.auth.jwt import Unauthorized
from seve_runtime.errors import SettingsError
from structlog.testing import capture_logs

from .tokens import ED, RSA, SECRET, keys, pem, token


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


def test_a_key_file_that_cannot_be_used_is_named():
    """At the start, the error is one of the settings."""
    with pytest.raises(SettingsError, match="JWT_PUBLIC_KEY_FILE"):
        keys(JWT_PUBLIC_KEY_FILE="/nowhere/key.pem")


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
