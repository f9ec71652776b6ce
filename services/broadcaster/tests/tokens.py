"""Keys, and tokens signed by them, for tests of who may connect."""

import time

import jwt
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from seve_broadcaster.auth.jwt import Keys
from seve_broadcaster.settings import AuthSettings
from seve_runtime.settings import load

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
