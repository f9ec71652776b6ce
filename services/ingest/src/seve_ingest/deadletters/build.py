"""Dead letters of ingest: the content of one, and how many may be kept. Pure; `pipeline` sends them."""

from hashlib import blake2b
from typing import Final

from seve_schema.codec import encode
from seve_schema.deadletter import IngestDeadLetter
from seve_schema.times import MICROS, format_time

from seve_ingest.mqtt.framing import MAX_PAYLOAD, Arrival, Cut
from seve_ingest.normalise.normaliser import Rejection

PER_SECOND: Final = 100
"""Most dead letters kept per second and reason, against a faulty device. The rest is counted as suppressed."""


def letter(
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


class Allowance:
    """PER_SECOND dead letters of each reason in each second of receipt."""

    def __init__(self) -> None:
        self._second: dict[str, tuple[int, int]] = {}

    def take(self, reason: str, received_at: int) -> bool:
        """Return whether one more of `reason` may be kept at `received_at` (microseconds)."""
        second = received_at // MICROS
        last, count = self._second.get(reason, (second, 0))
        count = count + 1 if last == second else 1
        self._second[reason] = (second, count)
        return count <= PER_SECOND
