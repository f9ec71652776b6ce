"""TLS of the WebSocket port: a certificate that is reloaded when its files change."""

import ssl
from pathlib import Path

from seve_runtime.errors import SettingsError

from seve_broadcaster.files import WatchedFiles


class Certificate:
    """A certificate chain and its key, in `context`. A connection keeps the certificate it began with."""

    def __init__(self, cert_file: str, key_file: str) -> None:
        """Load the files. Raises SettingsError if they cannot be used."""
        self._files = (cert_file, key_file)
        self.context = _context()
        try:
            self._watched = WatchedFiles("WS_TLS_CERT_FILE, WS_TLS_KEY_FILE", [*map(Path, self._files)], self._load)
        except (OSError, ValueError) as error:
            named = f"WS_TLS_CERT_FILE = {cert_file!r}, WS_TLS_KEY_FILE = {key_file!r}"
            raise SettingsError([f"{named}: {error}"]) from error

    def fresh(self) -> None:
        """Reload the files if one changed."""
        self._watched.fresh()

    def _load(self) -> None:
        _context().load_cert_chain(
            *self._files, password=_no_password
        )  # else a pair that does not match would be half loaded
        self.context.load_cert_chain(*self._files, password=_no_password)


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _no_password() -> str:
    """Refuse an encrypted key, for which OpenSSL would ask at the terminal."""
    raise ValueError("the key is encrypted; it must be readable without a password")
