"""JSON of the wire. A NATS message is an array of envelopes of one kind, of any modules, in the order of arrival.

Encodes nothing twice.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from seve_schema.envelope import Envelope

MAX_ENVELOPES: Final = 256
"""Most envelopes in one NATS message."""

MAX_BYTES: Final = 128 * 1024
"""Most bytes of a NATS message with more than one envelope; a larger envelope has a message of its own."""

_encoder: Final = msgspec.json.Encoder()
_envelopes: Final = msgspec.json.Decoder(list[Envelope])
_parts: Final = msgspec.json.Decoder(list[msgspec.Raw])

encode: Final = _encoder.encode
"""Encodes any wire struct as JSON bytes."""


def join(envelopes: Iterable[bytes]) -> bytes:
    """Return the NATS message of envelopes that are already encoded."""
    return b"[" + b",".join(envelopes) + b"]"


def decode_envelopes(message: bytes) -> list[Envelope]:
    """Return the envelopes of one NATS message. Raises msgspec.DecodeError for anything else."""
    return _envelopes.decode(message)


def split(message: bytes) -> list[msgspec.Raw]:
    """Return the bytes of each envelope of a NATS message, not decoded: views that keep the message in memory."""
    return _parts.decode(message)
