"""NATS subjects: `telemetry.{ingest}.{kind}` in the journal, `latest.{module}`, `forget.{module}` and
`deadletter.{service}.{reason}`.

In a token, every byte outside `[A-Za-z0-9_-]` is written as `%XX`, which is reversible. Ingest enforces the bound: a
module name has at most 128 bytes, so a token has at most 384 (NATS closes a connection at 4 KiB).
"""

from functools import lru_cache
from hashlib import blake2b
from typing import Final
from urllib.parse import unquote_to_bytes

from seve_schema.envelope import KINDS, Kind

JOURNAL_PREFIX: Final = "telemetry"
LATEST_PREFIX: Final = "latest"
DEADLETTER_PREFIX: Final = "deadletter"
FORGET_PREFIX: Final = "forget"

_PLAIN: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
_KINDS: Final = frozenset(KINDS)


class SubjectError(ValueError):
    """A subject that no part of Sève writes."""


@lru_cache(maxsize=65536)
def module_token(module_id: str) -> str:
    """Return a module name as one token of a subject. Raises SubjectError for the empty name."""
    if not module_id:
        raise SubjectError("an empty module name has no token")
    return "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in module_id.encode())


@lru_cache(maxsize=65536)
def module_of_token(token: str) -> str:
    """Return the module name of a token that `module_token` wrote. Raises UnicodeDecodeError if it is not UTF-8."""
    return unquote_to_bytes(token).decode()


def ingest_name(client_id: str) -> str:
    """Return the name of an ingest in subjects: 8 hex digits of a hash of its MQTT client id, which may be secret."""
    return blake2b(client_id.encode(), digest_size=4).hexdigest()


def telemetry_subject(ingest: str, kind: Kind) -> str:
    """Return the subject of all envelopes of one kind from one ingest, named by `ingest_name`."""
    return f"{JOURNAL_PREFIX}.{ingest}.{kind}"


def latest_subject(module_id: str) -> str:
    """Return the subject that keeps the newest envelope of each series of a module."""
    return f"{LATEST_PREFIX}.{module_token(module_id)}"


def forget_subject(module_id: str) -> str:
    """Return the subject that tells broadcasters to forget a module. The message has no body; no stream keeps it."""
    return f"{FORGET_PREFIX}.{module_token(module_id)}"


def deadletter_subject(service: str, reason: str) -> str:
    """Return the subject of a service's dead letters with one reason; both are tokens as they are."""
    return f"{DEADLETTER_PREFIX}.{service}.{reason}"


@lru_cache(maxsize=1024)
def parse_subject(subject: str) -> tuple[str, Kind]:
    """Return the ingest and the kind of a journal subject. Raises SubjectError for any other subject."""
    prefix, _, rest = subject.partition(".")
    ingest, _, kind = rest.partition(".")
    if prefix != JOURNAL_PREFIX or not ingest or kind not in _KINDS:
        raise SubjectError(f"not a telemetry subject: {subject!r}")
    return ingest, kind
