"""Builds the dead letters of ingest, and defines how many are kept. Pure: `pipeline` counts and sends them."""

from hashlib import blake2b
from typing import Final

from seve_schema.codec import encode
from seve_schema.deadletter import IngestDeadLetter
from seve_schema.times import format_time

from seve_ingest.mqtt.framing import MAX_PAYLOAD, Arrival, Cut
from seve_ingest.normalise.normaliser import Rejection

PER_SECOND: Final = 100
"""Most dead letters kept per second and reason. Others are counted as suppressed."""

PER_SECOND_OF_MODULE: Final = 20
"""Most dead letters kept per second and module, so that one faulty device leaves room for dead letters of others."""


def dead_letter(
    topic: str, arrival: Arrival, rejection: Rejection, *, received_at: int, retained: bool, key: str | None
) -> bytes:
    """Return the encoded dead letter of one message."""
    payload = arrival.payload
    return encode(
        IngestDeadLetter(
            topic=topic,
            payload=bytes(payload[:MAX_PAYLOAD]),
            size=payload.size if isinstance(payload, Cut) else len(payload),
            digest=payload.digest if isinstance(payload, Cut) else blake2b(payload, digest_size=16).hexdigest(),
            reason=rejection.reason,
            error=rejection.error,
            received_at=format_time(received_at),
            retained=retained,
            delivery_key=key,
        )
    )
