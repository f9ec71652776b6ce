"""Verifies JWTs with a secret, a public key or a set of keys, whose file is reloaded when it changes.

Reads key files; `grants` decides what a token allows. No token and no key ever reaches a log.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from seve_runtime.errors import SettingsError

from seve_broadcaster.auth.grants import Grant
from seve_broadcaster.files import WatchedFiles
from seve_broadcaster.protocol.requests import EVERYTHING
from seve_broadcaster.settings import AuthSettings

SYMMETRIC: Final = ("HS256",)
ASYMMETRIC: Final = ("RS256", "EdDSA")
SUBPROTOCOL: Final = "seve"
BEARER: Final = "bearer."
LEEWAY_SECONDS: Final = 5
MIN_RSA_BITS: Final = 2048


class Unauthorized(Exception):
    """A missing or invalid token; `reason` is one word for the counter."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Key(NamedTuple):
    """A key, its algorithms, and its fingerprint."""

    key: Any
    algorithms: tuple[str, ...]
    fingerprint: bytes


class Keys:
    """Verifies tokens with the keys of a setting or a file; if the file becomes unusable, the old keys stay in use."""

    def __init__(self, settings: AuthSettings) -> None:
        """Load the keys. Raises SettingsError for a key that cannot be used."""
        self._settings = settings
        self._watched: WatchedFiles | None = None
        self._keys: dict[str | None, Key] = {}
        if settings.jwt_secret:
            self._keys = {None: Key(settings.jwt_secret.reveal(), SYMMETRIC, b"JWT_SECRET")}
        elif path := settings.jwt_public_key_file or settings.jwt_jwks_file:
            name = "JWT_PUBLIC_KEY_FILE" if settings.jwt_public_key_file else "JWT_JWKS_FILE"
            try:
                self._watched = WatchedFiles(name, [Path(path)], lambda: self._load(Path(path)))
            except (OSError, ValueError) as error:
                raise SettingsError([f"{name} = {path!r}: {error}"]) from error

    @property
    def required(self) -> bool:
        """Whether clients need a token."""
        return self._settings.enabled

    def fresh(self) -> None:
        """Reload the file if it changed."""
        if self._watched is not None:
            self._watched.fresh()

    def hold(self, grant: Grant) -> bool:
        """Return whether the key that verified a grant's token is still one of the keys."""
        return grant.key is None or any(key.fingerprint == grant.key for key in self._keys.values())

    def verify(self, token: str) -> Grant:
        """Return the grant of a token. Raises Unauthorized."""
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            key = self._keys[kid if self._settings.jwt_jwks_file else None]
            claims = jwt.decode(
                token,
                key.key,
                algorithms=key.algorithms,
                audience=self._settings.jwt_audience,
                issuer=self._settings.jwt_issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp"], "verify_aud": self._settings.jwt_audience is not None},
            )
        except KeyError:
            raise Unauthorized("unknown_key") from None
        except jwt.ExpiredSignatureError:
            raise Unauthorized("expired") from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError):
            raise Unauthorized("invalid") from None
        grant = grant_of(claims)._replace(key=key.fingerprint)
        longest = self._settings.jwt_max_age
        if longest and float(claims["exp"]) > time.time() + longest + LEEWAY_SECONDS:
            raise Unauthorized("too_long")
        return grant

    def _load(self, path: Path) -> None:
        """Take the keys of a file. Raises OSError and ValueError."""
        text = path.read_text(encoding="utf-8")
        try:
            if self._settings.jwt_public_key_file:
                self._keys = {None: _usable(load_pem_public_key(text.encode()), ASYMMETRIC)}
            else:
                self._keys = _of_set(json.loads(text))
        except jwt.PyJWTError as error:
            raise ValueError(str(error)) from error


def grant_of(claims: Mapping[str, Any]) -> Grant:
    """Return the grant of the claim `modules`, a list of names or `*`; without the claim, of no module."""
    modules = claims.get("modules", [])
    names = [modules] if isinstance(modules, str) else modules
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Unauthorized("invalid")
    return Grant(None if EVERYTHING in names else frozenset(names), float(claims["exp"]) + LEEWAY_SECONDS)


def presented(authorization: str | None, subprotocols: list[str]) -> str | None:
    """Return a request's token: from `Authorization`, or, as browsers cannot set it, from a subprotocol `bearer.…`."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return next((offered.removeprefix(BEARER) for offered in subprotocols if offered.startswith(BEARER)), None)


def _usable(key: Any, algorithms: tuple[str, ...]) -> Key:
    """Return a public key with its fingerprint. Raises ValueError for an RSA key that is too short."""
    if isinstance(key, RSAPublicKey) and key.key_size < MIN_RSA_BITS:
        raise ValueError(f"an RSA key of {key.key_size} bits; use one of {MIN_RSA_BITS} or more")
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Key(key, algorithms, hashlib.sha256(der).digest())


def _of_set(keys: Any) -> dict[str | None, Key]:
    """Return the keys of a JWKS by `kid`; each verifies its own algorithm only. Secrets in it are ignored."""
    by_id: dict[str | None, Key] = {}
    for key in jwt.PyJWKSet.from_dict(keys).keys:
        if key.algorithm_name in ASYMMETRIC:
            by_id[key.key_id] = _usable(key.key, (key.algorithm_name,))
    if not by_id:
        raise ValueError(f"no key for {' or '.join(ASYMMETRIC)}")
    if len(by_id) == 1:
        by_id[None] = next(iter(by_id.values()))  # a token need not name the only key
    return by_id
