"""The outcome of one MQTT message: encoded envelopes, a refusal, or the reason why it is ignored. Plain values."""

from typing import Literal

import msgspec
from seve_schema.codec import decode_envelopes, join
from seve_schema.deadletter import IngestReason
from seve_schema.envelope import Envelope, Kind

IgnoredReason = Literal["cleared", "retained", "route", "empty", "sys"]


class Rejection(msgspec.Struct, frozen=True):
    """The reason why a message becomes a dead letter, and its explanation in words."""

    reason: IngestReason
    error: str


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """The outcome of one message. `encoded` holds its envelopes as JSON, all of one module and `kind`.

    With both envelopes and a `rejection`, the message is published as far as it could be read, and kept whole as a dead
    letter. `ignored` says why there is neither. `repairs` are words of `coerce.REPAIRS`.
    """

    encoded: tuple[bytes, ...] = ()
    kind: Kind = "other"
    rejection: Rejection | None = None
    ignored: IgnoredReason | None = None
    repairs: tuple[str, ...] = ()

    @property
    def envelopes(self) -> tuple[Envelope, ...]:
        """The envelopes, decoded at each call. For tools and tests: the service passes on `encoded` unchanged."""
        return tuple(decode_envelopes(join(self.encoded)))
