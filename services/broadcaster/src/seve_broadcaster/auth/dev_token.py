"""The command `seve-broadcaster token`: a token for development, signed with JWT_SECRET or a private key."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from seve_runtime.errors import SettingsError
from seve_runtime.settings import load

from seve_broadcaster.protocol.requests import EVERYTHING
from seve_broadcaster.settings import AuthSettings


def mint(argv: Sequence[str]) -> int:
    """Print a token; return the exit code, 2 without a key to sign with."""
    parser = argparse.ArgumentParser(prog="seve-broadcaster token", description="Make a token for development.")
    parser.add_argument("--modules", required=True, help="names, separated by commas, or * for all")
    parser.add_argument("--minutes", type=float, default=60, help="how long it is valid [60]")
    parser.add_argument("--key", type=Path, help="private key (PEM) to sign with instead of JWT_SECRET")
    parser.add_argument("--kid", help="key id to name in the token")
    options = parser.parse_args(argv)
    try:
        settings = load(AuthSettings, os.environ)
        key, algorithm = _signer(options.key, settings)
    except (SettingsError, OSError, ValueError, TypeError) as error:
        print(error, file=sys.stderr)  # noqa: T201  (a command)
        return 2
    claims = claims_of(options.modules, time.time() + options.minutes * 60, settings)
    headers = {"kid": options.kid} if options.kid else None
    print(jwt.encode(claims, key, algorithm=algorithm, headers=headers))  # noqa: T201  (a command)
    return 0


def claims_of(modules: str, expires: float, settings: AuthSettings) -> dict[str, object]:
    """Return the claims of a token that this broadcaster accepts; `modules` are names separated by commas, or `*`."""
    names = EVERYTHING if modules.strip() == EVERYTHING else [name.strip() for name in modules.split(",")]
    claims: dict[str, object] = {"modules": names, "exp": int(expires), "sub": "development"}
    if settings.jwt_audience:
        claims["aud"] = settings.jwt_audience
    if settings.jwt_issuer:
        claims["iss"] = settings.jwt_issuer
    return claims


def _signer(path: Path | None, settings: AuthSettings) -> tuple[Any, str]:
    if path is not None:
        key = load_pem_private_key(path.read_bytes(), password=None)
        return key, "EdDSA" if isinstance(key, Ed25519PrivateKey) else "RS256"
    if settings.jwt_secret is None:
        raise ValueError("nothing to sign with: set JWT_SECRET, or name a private key with --key")
    return settings.jwt_secret.reveal(), "HS256"
