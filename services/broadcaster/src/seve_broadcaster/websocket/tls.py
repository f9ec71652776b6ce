"""TLS of the WebSocket port: a certificate that is reloaded when its files change, and a count of the handshakes
that failed.
"""

import ssl
import time
from collections import Counter
from pathlib import Path
from typing import Final

import structlog
from seve_runtime.errors import SettingsError
from seve_runtime.rate_limit import Throttle
from seve_runtime.tls import Pair, check_server, load_pair, reason

from seve_broadcaster.files import WatchedFiles
from seve_broadcaster.settings import Settings

log = structlog.get_logger()

LOG_SECONDS: Final = 10.0
"""Seconds between two log lines about failed handshakes; a line counts those in between. Anyone who reaches the port
can cause them.
"""


class Certificate:
    """A certificate chain and its key, in `context`. A connection keeps the certificate it began with."""

    def __init__(self, cert_file: str, key_file: str) -> None:
        """Load the files. Raises SettingsError if they cannot be used."""
        self._files = Pair(Path(cert_file), Path(key_file))
        self.context = _Context(ssl.PROTOCOL_TLS_SERVER)
        try:
            self._watched = WatchedFiles("WS_TLS_CERT_FILE, WS_TLS_KEY_FILE", self._files, self._load)
        except (OSError, ValueError) as error:
            raise SettingsError([f"{_named(self._files)}: {reason(error)}"]) from error

    @property
    def failures(self) -> Counter[str]:
        """The number of failed handshakes, by OpenSSL's reason."""
        return self.context.failures

    def fresh(self) -> None:
        """Reload the files if one changed."""
        self._watched.fresh()

    def _load(self) -> None:
        load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), self._files)  # a mismatched pair must not reach our context
        load_pair(self.context, self._files)


def check(settings: Settings) -> None:
    """Raise SettingsError if clients would refuse the certificate. Does not check its issuer: clients decide whom they
    trust.
    """
    if settings.ws_tls_cert_file and settings.ws_tls_key_file:
        files = Pair(Path(settings.ws_tls_cert_file), Path(settings.ws_tls_key_file))
        check_server(_named(files), files)


class _Handshake(ssl.SSLObject):
    """A connection's TLS, which reports a failed handshake to its context, because the event loop reports none."""

    _over = False

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self._failed((error.reason or "unknown").lower())
            raise
        self._over = True

    def __del__(self) -> None:
        """Report a client that left or took too long: the event loop only drops the connection."""
        if not self._over:
            self._failed("unfinished")

    def _failed(self, why: str) -> None:
        self._over = True
        if isinstance(self.context, _Context):
            self.context.failed(why)


class _Context(ssl.SSLContext):
    """The port's context, which counts handshakes that fail."""

    sslobject_class = _Handshake

    def __init__(self, _protocol: int) -> None:
        self.minimum_version = ssl.TLSVersion.TLSv1_2
        self.set_alpn_protocols(["http/1.1"])
        self.failures: Counter[str] = Counter()
        self._log = Throttle(LOG_SECONDS)

    def failed(self, why: str) -> None:
        """Count a handshake that failed; log one now and then."""
        self.failures[why] += 1
        if self._log.allows(time.monotonic()):
            log.warning("TLS handshake failed", reason=why, others=self._log.held_back())


def _named(files: Pair) -> str:
    return f"WS_TLS_CERT_FILE = {str(files.cert)!r}, WS_TLS_KEY_FILE = {str(files.key)!r}"
