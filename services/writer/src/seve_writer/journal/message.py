"""A journal message that a writer has fetched. Acknowledges nothing itself."""

import msgspec
from seve_runtime.nats.ack_subject import parse_ack_subject


class JournalMessage(msgspec.Struct, frozen=True):
    """One NATS message. `ack` is the subject to acknowledge it on; `stored_ns` is when the journal stored it, in
    nanoseconds since 1970; `delivered` counts deliveries from 1; `recreations` is how often the journal may have been
    recreated before the message was received.
    """

    subject: str
    data: bytes
    ack: str
    sequence: int
    delivered: int
    stored_ns: int
    recreations: int = 0


def read_message(subject: str, reply: str, data: bytes, recreations: int = 0) -> JournalMessage:
    """Return the message that the consumer delivered. Raises ValueError for any other reply subject."""
    ack = parse_ack_subject(reply)
    return JournalMessage(subject, data, reply, ack.sequence, ack.delivered, ack.stored_ns, recreations)
