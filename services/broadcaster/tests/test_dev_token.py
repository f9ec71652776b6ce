"""`seve-broadcaster token` makes tokens for development."""

import os
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from .tokens import ED, SECRET, keys, pem


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
