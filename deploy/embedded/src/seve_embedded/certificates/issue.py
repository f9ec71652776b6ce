"""Decides which certificates are needed, and issues them. Pure: takes the existing files and the time, returns the
files to write.

Keeps a certificate that is still valid. Refuses to replace a CA that has not expired: devices trust it.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from seve_runtime.errors import SeveError

SERVERS: Final = {
    "mqtt": ("mosquitto",),
    "nats": ("nats", "nats-1", "nats-2", "nats-3"),
    "postgres": ("postgres",),
    "ws": ("broadcaster", "broadcaster.seve.internal", "proxy", "proxy.seve.internal"),
}
"""Each server's names in containers."""

OPEN: Final = ("mqtt", "ws")
"""Servers that other machines reach by the names of this machine."""

PIPELINE: Final = "pipeline"
"""The certificate that ingest, and people's commands, show to the broker."""

LOCAL: Final = ("localhost", "127.0.0.1", "::1")
CA_LASTS: Final = timedelta(days=3650)
LASTS: Final = timedelta(days=397)
"""Validity of certificates of servers and of `pipeline`; a device's certificate expires with the CA."""

RENEWED_BEFORE: Final = timedelta(days=30)
CLOCKS: Final = timedelta(hours=1)
"""How far the clock of a client may be behind: certificates begin to be valid so long before they are issued."""

_NAME: Final = re.compile(r"(?=.{1,253}$)(\*\.)?([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9_-]{1,63}")
_DEVICE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class CannotIssue(SeveError):
    """A certificate cannot be issued from the existing files; the text says why."""


def issue(
    held: Mapping[str, str], *, names: Sequence[str], devices: Sequence[str], now: datetime, renew: bool = False
) -> dict[str, str]:
    """Return the files to write, by name: those that `held` lacks or that expire soon; with `renew` all but the CA.

    `names` are the host names and addresses by which others reach this machine; names of an earlier certificate are
    kept. `devices` get a client certificate each. Raises CannotIssue.
    """
    for name in names:
        _general_name(name)
    if strangers := [name for name in devices if not _DEVICE.fullmatch(name)]:
        raise CannotIssue(f"{strangers[0]!r} cannot be the name of a device's certificate")
    written: dict[str, str] = {}
    authority = _Authority(held, written, now)
    for server, inside in SERVERS.items():
        wanted = [*LOCAL, *inside, *(names if server in OPEN else [])]
        both = server == "nats"  # a server of a cluster is the client of another
        authority.certify(server, wanted, LASTS, renew=renew, server=True, client=both)
    authority.certify(PIPELINE, [], LASTS, renew=renew, client=True)
    for device in devices:
        authority.certify(f"devices/{device}", [], CA_LASTS, renew=renew, client=True)
    return written


class _Authority:
    """The CA of `held`, or a new one. Adds the certificates that it issues to `written`."""

    def __init__(self, held: Mapping[str, str], written: dict[str, str], now: datetime) -> None:
        self._held, self._written, self._now = held, written, now
        if "ca.pem" in held and _certificate(held["ca.pem"]).not_valid_after_utc - now > RENEWED_BEFORE:
            if "ca.key" not in held:
                raise CannotIssue("ca.key is missing: nothing can be signed for those who trust ca.pem")
            self.certificate, self._key = _certificate(held["ca.pem"]), _key(held["ca.key"])
            return
        self._key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Seve CA {now:%Y-%m-%d}")])
        usage = _usage(key_cert_sign=True, crl_sign=True)
        builder = _builder(subject, subject, self._key.public_key(), now, now + CA_LASTS)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.certificate = builder.add_extension(usage, critical=True).sign(self._key, SHA256())
        written["ca.pem"], written["ca.key"] = _pem(self.certificate), _key_pem(self._key)

    def certify(
        self,
        name: str,
        names: Iterable[str],
        lasts: timedelta,
        *,
        renew: bool,
        server: bool = False,
        client: bool = False,
    ) -> None:
        """Issue the certificate `name` unless a valid one exists for these `names`."""
        earlier = _certificate(self._held[f"{name}.pem"]) if f"{name}.pem" in self._held else None
        wanted = dict.fromkeys([*map(_general_name, names), *(_names(earlier) if earlier else [])])
        if earlier and not renew and self._good(name, earlier, list(wanted)):
            return
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name.rpartition("/")[2])])
        end = min(self._now + lasts, self.certificate.not_valid_after_utc)
        builder = _builder(subject, self.certificate.subject, key.public_key(), self._now, end)
        purposes = [ExtendedKeyUsageOID.SERVER_AUTH] * server + [ExtendedKeyUsageOID.CLIENT_AUTH] * client
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(digital_signature=True), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(issuer, critical=False)
        if wanted:
            builder = builder.add_extension(x509.SubjectAlternativeName(list(wanted)), critical=False)
        self._written[f"{name}.pem"] = _pem(builder.sign(self._key, SHA256()))
        self._written[f"{name}.key"] = _key_pem(key)

    def _good(self, name: str, earlier: x509.Certificate, wanted: list[x509.GeneralName]) -> bool:
        try:
            earlier.verify_directly_issued_by(self.certificate)
        except (ValueError, TypeError, InvalidSignature):
            return False
        key = self._held.get(f"{name}.key")
        fits = key is not None and _key(key).public_key() == earlier.public_key()
        return fits and earlier.not_valid_after_utc - self._now > RENEWED_BEFORE and set(wanted) == set(_names(earlier))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, end: datetime
) -> x509.CertificateBuilder:
    identifier = x509.SubjectKeyIdentifier.from_public_key(key)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCKS)
        .not_valid_after(end)
        .add_extension(identifier, critical=False)
    )


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _names(certificate: x509.Certificate) -> list[x509.GeneralName]:
    try:
        return list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return []


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        if not _NAME.fullmatch(name):
            raise CannotIssue(f"{name!r} is neither a host name nor an address") from None
        return x509.DNSName(name)


def _certificate(text: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(text.encode())
    except ValueError as error:
        raise CannotIssue(f"a certificate cannot be read: {error}") from error


def _key(text: str) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(text.encode(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CannotIssue("a key is not of the kind that is made here (EC)")
    return key


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
