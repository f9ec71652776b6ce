"""Checks the certificates and keys that settings name: they exist, are readable, match, and do not expire soon.
Standard library only.

Checks every pair `…_CERT_FILE` and `…_KEY_FILE` of the settings, whichever program reads them, and trusted certificates
(`…_CA_FILE`).
"""

import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from seve_embedded.checks.finding import FAULT, WARNING, Finding
from seve_embedded.checks.permissions import closed
from seve_embedded.shared.links import FOLDER

AREA: Final = "certificates"
SOON_DAYS: Final = 21
DAY: Final = 86400.0


def check(environ: Mapping[str, str], root: Path, now: float) -> list[Finding]:
    """Check every certificate that `environ` names. Paths are relative to `root`; `now` is in seconds since 1970."""
    found: list[Finding] = []
    for name, value in sorted(environ.items()):
        if value and name.endswith(("_CERT_FILE", "_CA_FILE")):
            found += _dates(name, root / value, now, _renewal(root, value))
        if value and name.endswith("_CERT_FILE"):
            found += _pair(name, root / value, environ, root)
    return found


def _renewal(root: Path, value: str) -> str:
    """Return how a certificate is renewed: by `./seve certs` if that made it, else by its owner."""
    if (root / FOLDER) in (root / value).parents:
        return "./seve certs"
    return f"renew {value}; it is loaded again without a restart"


def _dates(setting: str, path: Path, now: float, renew: str) -> Iterator[Finding]:
    try:
        content = ssl._ssl._test_decode_cert(str(path))  # type: ignore[attr-defined]  # noqa: SLF001  (the only reader)
    except OSError as error:  # ssl.SSLError is one
        why = f"no certificate can be read from it: {error}" if path.exists() else "there is no such file"
        yield Finding(
            AREA, f"{setting} = {str(path)!r}: {why}", f"put the certificate there, or change {setting} in .env"
        )
        return
    days = (ssl.cert_time_to_seconds(content["notAfter"]) - now) / DAY
    if days < 0:
        yield Finding(AREA, f"{setting}: {path} ended {-days:.0f} days ago, on {content['notAfter']}", renew)
    elif days < SOON_DAYS:
        yield Finding(AREA, f"{setting}: {path} ends in {days:.0f} days, on {content['notAfter']}", renew, WARNING)
    if ssl.cert_time_to_seconds(content["notBefore"]) > now:
        mend = "timedatectl set-ntp true, if the clock is wrong; else wait"
        yield Finding(AREA, f"{setting}: {path} is valid from {content['notBefore']} on", mend)


def _pair(setting: str, path: Path, environ: Mapping[str, str], root: Path) -> Iterator[Finding]:
    name = setting.replace("_CERT_FILE", "_KEY_FILE")
    key = root / environ[name] if environ.get(name) else path
    if not path.exists():
        return
    if not key.exists():
        yield Finding(
            AREA, f"{name} = {str(key)!r}: there is no such file", f"put the key there, or change {name} in .env"
        )
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path, key, password=_none)
    except (OSError, ValueError):
        what = f"{name}: {key} is not the key of {path}, or is encrypted"
        yield Finding(AREA, what, f"set {setting} and {name} in .env to files of one pair, the key without a password")
    yield from closed(AREA, key, 0o600, FAULT)


def _none() -> str:
    raise ValueError("a key with a password cannot be loaded by a service")
