"""NATS subjects: `telemetry.{module}.{kind}` and its republished twin `live.{module}.{kind}`.

A module name may hold any character; its token writes every byte outside `[A-Za-z0-9_-]` as `%XX`, which is reversible.
Bounds belong to ingest: a module is at most 128 bytes, hence a token at most 384 (NATS drops a connection at 4 KiB).
"""

from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

from seve_schema.envelope import KINDS, Kind

JOURNAL_PREFIX: Final = "telemetry"
LIVE_PREFIX: Final = "live"
LATEST_PREFIX: Final = "latest"
DEADLETTER_PREFIX: Final = "deadletter"

_PLAIN: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
_KINDS: Final = frozenset(KINDS)


class SubjectError(ValueError):
    """A subject that no part of Sève writes."""


@lru_cache(maxsize=65536)
def module_token(module_id: str) -> str:
    """A module name as one token of a subject. Raises SubjectError for the empty name, which no token can stand for."""
    if not module_id:
        raise SubjectError("an empty module name has no token")
    return "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in module_id.encode())


@lru_cache(maxsize=65536)
def module_of_token(token: str) -> str:
    """The module name that `module_token` wrote. Raises UnicodeDecodeError for what it never writes."""
    return unquote_to_bytes(token).decode()


def telemetry_subject(module_id: str, kind: Kind) -> str:
    """Where envelopes of one module and kind enter the journal."""
    return f"{JOURNAL_PREFIX}.{module_token(module_id)}.{kind}"


def latest_subject(module_id: str) -> str:
    """Where the newest envelope of each series of a module is kept."""
    return f"{LATEST_PREFIX}.{module_token(module_id)}"


def deadletter_subject(service: str, reason: str) -> str:
    """Where a service leaves what it could not use; both parts are plain tokens."""
    return f"{DEADLETTER_PREFIX}.{service}.{reason}"


@lru_cache(maxsize=65536)
def parse_subject(subject: str) -> tuple[str, Kind]:
    """Module and kind of a journal or live subject. Raises SubjectError for any other subject."""
    prefix, _, rest = subject.partition(".")
    token, _, kind = rest.partition(".")
    if prefix not in (JOURNAL_PREFIX, LIVE_PREFIX) or not token or kind not in _KINDS:
        raise SubjectError(f"not a telemetry subject: {subject!r}")
    return module_of_token(token), kind
