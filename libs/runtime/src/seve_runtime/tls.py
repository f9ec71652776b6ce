"""Builds TLS contexts from files, and checks such files by a handshake in memory, which fails as one with a peer would.

Imports the standard library only: the container side of the stack runs on a bare Python. Opens no connection.
"""

import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from seve_runtime.errors import SettingsError

ROUNDS: Final = 4
"""Rounds in which each side of a handshake takes a step. A handshake takes two; one that is refused ends earlier."""

_REASONS: Final = {
    "KEY_VALUES_MISMATCH": "the key does not fit the certificate",
    "NO_CERTIFICATE_OR_CRL_FOUND": "the file has no certificate",
}


class Pair(NamedTuple):
    """Files of a certificate chain and its key, both PEM; they may be one file."""

    cert: Path
    key: Path


class _Named(ssl.SSLContext):
    """A client's context that expects `server_name` in the server's certificate, whatever host it connects to."""

    server_name: str | None = None

    def wrap_socket(  # noqa: PLR0917  (as SSLContext has it)
        self,
        sock: socket.socket,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLSocket:
        """As SSLContext does."""
        name = self.server_name or server_hostname
        return super().wrap_socket(sock, server_side, do_handshake_on_connect, suppress_ragged_eofs, name, session)

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """As SSLContext does."""
        return super().wrap_bio(incoming, outgoing, server_side, self.server_name or server_hostname, session)


def client_context(
    prefix: str,
    ca_file: str | None,
    cert_file: str | None = None,
    key_file: str | None = None,
    server_name: str | None = None,
) -> ssl.SSLContext:
    """Return a client's context. It trusts `ca_file` (default: the system's certificates) and expects `server_name` in
    the server's certificate (default: the host it connects to).

    Raises SettingsError, which names PREFIX_CA_FILE, or PREFIX_CERT_FILE and PREFIX_KEY_FILE.
    """
    context = _Named(ssl.PROTOCOL_TLS_CLIENT)
    context.server_name = server_name
    with _naming(f"{prefix}_CA_FILE = {ca_file!r}"):
        if ca_file:
            Path(ca_file).read_bytes()  # its error names the file, OpenSSL's does not
            context.load_verify_locations(ca_file)
        else:
            context.load_default_certs()
    if cert_file:
        keyed = f", {prefix}_KEY_FILE = {key_file!r}" if key_file else ""
        with _naming(f"{prefix}_CERT_FILE = {cert_file!r}{keyed}"):
            load_pair(context, Pair(Path(cert_file), Path(key_file or cert_file)))
    return context


def environment_context(prefix: str, environ: Mapping[str, str]) -> ssl.SSLContext:
    """Return a client's context from PREFIX_CA_FILE, PREFIX_CERT_FILE, PREFIX_KEY_FILE and PREFIX_SERVER_NAME in
    `environ`. Raises SettingsError.
    """
    parts = [environ.get(f"{prefix}_{part}") or None for part in ("CA_FILE", "CERT_FILE", "KEY_FILE", "SERVER_NAME")]
    return client_context(prefix, *parts)


def server_context(pair: Pair) -> ssl.SSLContext:
    """Return a server's context: TLS 1.2 or later. Raises OSError or ValueError for files that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    load_pair(context, pair)
    return context


def check_server(setting: str, pair: Pair, *, ca: Path | None = None, names: Iterable[str] = ()) -> None:
    """Raise SettingsError, whose text begins with `setting`, if a client would not accept this certificate.

    The client trusts `ca`; without `ca` it trusts the certificate itself, and checks only its dates. `names` are the
    host names and addresses to which clients connect.
    """
    with _naming(setting):
        server = server_context(pair)
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.load_verify_locations(ca or pair.cert)
        if ca is None:
            client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        for name in names:
            _handshake(server, client, name)
        if not names:
            client.check_hostname = False
            _handshake(server, client, None)


def check_client(setting: str, pair: Pair, anchor: Pair, client_ca: Path) -> None:
    """Raise SettingsError, whose text begins with `setting`, if a server that trusts `client_ca` would not accept this
    client certificate. `anchor` is the certificate of that server; any will do.
    """
    with _naming(setting):
        server = server_context(anchor)
        server.verify_mode = ssl.CERT_REQUIRED
        server.load_verify_locations(client_ca)
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        load_pair(client, pair)
        _handshake(server, client, None)


def load_pair(context: ssl.SSLContext, pair: Pair) -> None:
    """Load a certificate and its key. Raises OSError, or ValueError for a key with a password."""
    for file in pair:
        file.read_bytes()  # its error names the file, OpenSSL's does not
    context.load_cert_chain(pair.cert, pair.key, password=_no_password)


def _no_password() -> str:
    """Refuse an encrypted key, for which OpenSSL would ask at the terminal."""
    raise ValueError("the key is encrypted; it must be readable without a password")


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str | None) -> None:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    serving = server.wrap_bio(to_server, to_client, server_side=True)
    asking = client.wrap_bio(to_client, to_server, server_hostname=name)
    for _ in range(ROUNDS):
        for side in (asking, serving):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()


@contextmanager
def _naming(setting: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise SettingsError([f"{setting}: {reason(error)}"]) from error


def reason(error: OSError | ValueError) -> str:
    """Return the fault of a certificate or key in one line, without the line of OpenSSL's source."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message.rstrip(".")
    if isinstance(error, ssl.SSLError):
        return _REASONS.get(error.reason or "", f"no certificate or key in PEM ({error.reason or 'unreadable'})")
    if isinstance(error, OSError):
        return f"{error.strerror}: {error.filename}"
    return str(error)
