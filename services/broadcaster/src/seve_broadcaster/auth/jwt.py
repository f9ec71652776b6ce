"""Who a client is: a JWT, verified with a secret, a public key or a set of keys, read again when its file changes.

Reads key files and verifies; what a token allows is `access`'s. No token and no key ever reaches a log.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import jwt
import structlog
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from seve_runtime.errors import SettingsError

from seve_broadcaster.auth.grants import Grant
from seve_broadcaster.protocol.requests import EVERYTHING
from seve_broadcaster.settings import AuthSettings

log = structlog.get_logger()

SYMMETRIC: Final = ("HS256",)
ASYMMETRIC: Final = ("RS256", "EdDSA")
SUBPROTOCOL: Final = "seve"
BEARER: Final = "bearer."
LEEWAY_SECONDS: Final = 5


class Unauthorized(Exception):
    """A token that is missing or does not hold; `reason` is one word for counting."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Keys:
    """What tokens are verified with, from a setting or a file; a file that became unusable changes nothing."""

    def __init__(self, settings: AuthSettings) -> None:
        """Raises SettingsError for a key that cannot be used."""
        self._settings = settings
        self._path = Path(settings.jwt_public_key_file or settings.jwt_jwks_file or "") if self._has_file else None
        self._stamp: tuple[int, int] | None = None
        self._keys: dict[str | None, tuple[Any, tuple[str, ...]]] = {}
        if settings.jwt_secret:
            self._keys = {None: (settings.jwt_secret.reveal(), SYMMETRIC)}
        elif self._path is not None:
            try:
                self._load()
            except (OSError, ValueError, jwt.PyJWTError) as error:
                raise SettingsError([f"{self._variable} = {str(self._path)!r}: {error}"]) from error

    @property
    def required(self) -> bool:
        """Whether clients have to show a token."""
        return self._settings.enabled

    def fresh(self) -> None:
        """Read the file again if it changed."""
        if self._path is None:
            return
        try:
            if self._seen() != self._stamp:
                self._load()
                log.info("keys read again", keys=len(self._keys))
        except (OSError, ValueError, jwt.PyJWTError) as error:
            log.warning("keys not read again; the old ones stay", error=type(error).__name__)

    def verify(self, token: str) -> Grant:
        """What a token grants. Raises Unauthorized."""
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            key, algorithms = self._keys[kid if self._settings.jwt_jwks_file else None]
            claims = jwt.decode(
                token,
                key,
                algorithms=algorithms,
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
        return grant_of(claims)

    @property
    def _has_file(self) -> bool:
        return bool(self._settings.jwt_public_key_file or self._settings.jwt_jwks_file)

    @property
    def _variable(self) -> str:
        return "JWT_PUBLIC_KEY_FILE" if self._settings.jwt_public_key_file else "JWT_JWKS_FILE"

    def _seen(self) -> tuple[int, int]:
        assert self._path is not None  # noqa: S101  (the callers looked)
        stat = self._path.stat()
        return stat.st_mtime_ns, stat.st_ino

    def _load(self) -> None:
        assert self._path is not None  # noqa: S101  (the callers looked)
        stamp, text = self._seen(), self._path.read_text(encoding="utf-8")
        if self._settings.jwt_public_key_file:
            self._keys = {None: (load_pem_public_key(text.encode()), ASYMMETRIC)}
        else:
            self._keys = _of_set(json.loads(text))
        self._stamp = stamp


def grant_of(claims: Mapping[str, Any]) -> Grant:
    """The claim `modules`, a list of names or `*`; without one, nothing may be seen."""
    modules = claims.get("modules", [])
    names = [modules] if isinstance(modules, str) else modules
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Unauthorized("invalid")
    return Grant(None if EVERYTHING in names else frozenset(names), float(claims["exp"]) + LEEWAY_SECONDS)


def presented(authorization: str | None, subprotocols: list[str]) -> str | None:
    """The token of a request: in `Authorization`, or, since browsers can set no header, as a subprotocol `bearer.…`."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return next((offered.removeprefix(BEARER) for offered in subprotocols if offered.startswith(BEARER)), None)


def _of_set(keys: Any) -> dict[str | None, tuple[Any, tuple[str, ...]]]:
    """The keys of a JWKS by `kid`; each verifies its own algorithm only, and secrets have no place in one."""
    found: dict[str | None, tuple[Any, tuple[str, ...]]] = {}
    for key in jwt.PyJWKSet.from_dict(keys).keys:
        if key.algorithm_name in ASYMMETRIC:
            found[key.key_id] = (key.key, (key.algorithm_name,))
    if not found:
        raise ValueError(f"no key for {' or '.join(ASYMMETRIC)}")
    if len(found) == 1:
        found[None] = next(iter(found.values()))  # a token need not name the only key there is
    return found
