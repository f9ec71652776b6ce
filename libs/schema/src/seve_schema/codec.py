"""JSON of the wire. A NATS message is an array of envelopes of one kind, of any modules, in the order of arrival.

Nothing is encoded twice.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from seve_schema.envelope import Envelope

MAX_ENVELOPES: Final = 256
"""Most envelopes in one NATS message."""

MAX_BYTES: Final = 128 * 1024
"""Most bytes of a NATS message that carries more than one envelope; a larger envelope goes alone."""

_encoder: Final = msgspec.json.Encoder()
_envelopes: Final = msgspec.json.Decoder(list[Envelope])
_parts: Final = msgspec.json.Decoder(list[msgspec.Raw])

encode: Final = _encoder.encode
"""Any wire struct as JSON bytes."""


def join(envelopes: Iterable[bytes]) -> bytes:
    """The NATS message of envelopes that are encoded already."""
    return b"[" + b",".join(envelopes) + b"]"


def decode_envelopes(message: bytes) -> list[Envelope]:
    """Envelopes of one NATS message. Raises msgspec.DecodeError for anything else."""
    return _envelopes.decode(message)


def split(message: bytes) -> list[msgspec.Raw]:
    """The bytes of each envelope of a NATS message, undecoded: views that keep the message alive."""
    return _parts.decode(message)
