"""The contents of the dead-letter stream: enough to understand an unusable message, and to retry it."""

from typing import Final, Literal

import msgspec

from seve_schema.envelope import Envelope

IngestReason = Literal["malformed", "bad_topic", "too_large", "out_of_range", "too_old", "not_a_number"]


class IngestDeadLetter(msgspec.Struct, frozen=True, rename="camel", kw_only=True, tag_field="service", tag="ingest"):
    """An MQTT message that ingest refused. `payload` is base64 on the wire, cut at 256 KiB; `size` (bytes) and
    `digest` (BLAKE2b of 16 bytes, hex) are of the whole payload.
    """

    topic: str
    payload: bytes
    size: int
    digest: str
    reason: IngestReason
    error: str
    received_at: str
    retained: bool = False
    delivery_key: str | None = None


class WriterDeadLetter(msgspec.Struct, frozen=True, rename="camel", kw_only=True, tag_field="service", tag="writer"):
    """An envelope whose row the database refused, with its SQLSTATE and journal position (`seve_schema.position`);
    `index` is the envelope's place in its NATS message.
    """

    envelope: Envelope
    position: str
    index: int
    sqlstate: str | None
    error: str
    failed_at: str


class JournalDeadLetter(msgspec.Struct, frozen=True, rename="camel", kw_only=True, tag_field="service", tag="journal"):
    """Bytes in the journal that no part of Sève writes, found by a writer; `index` is their place in the NATS message.

    `payload` is base64 on the wire, cut at 256 KiB; `size` (bytes) is of the whole payload. It cannot be retried.
    """

    subject: str
    payload: bytes
    size: int
    position: str
    index: int
    error: str
    failed_at: str


DeadLetter = IngestDeadLetter | WriterDeadLetter | JournalDeadLetter
_decoder: Final[msgspec.json.Decoder[DeadLetter]] = msgspec.json.Decoder(DeadLetter)


def decode_deadletter(message: bytes) -> DeadLetter:
    """Return a dead letter of any of the three types, by its `service` tag. Raises msgspec.DecodeError."""
    return _decoder.decode(message)
