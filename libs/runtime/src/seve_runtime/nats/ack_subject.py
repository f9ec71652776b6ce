"""The subject on which a JetStream message is acknowledged, and what it says of the message. The one parser of it.

Two forms: `$JS.ACK.<stream>.<consumer>.<delivered>.<sequence>.<consumer sequence>.<ns>.<pending>`, and the form of
later servers, with a domain and a hash of the account after `ACK` and possibly one more token at the end.
https://github.com/nats-io/nats-architecture-and-design, ADR-15.
"""

from typing import NamedTuple

_SHORT = 9
"""Tokens of the first form; any longer subject has two more before the stream."""


class AckSubject(NamedTuple):
    """`sequence` is the stream's; `delivered` counts from 1; `stored_ns` is when the stream took the message, in
    nanoseconds since 1970; `pending` is how many messages the consumer has yet to deliver after this one.
    """

    sequence: int
    delivered: int
    stored_ns: int
    pending: int


def parse_ack_subject(reply: str) -> AckSubject:
    """Read the reply subject of a message that a consumer delivered. Raises ValueError for any other subject."""
    tokens = reply.split(".")
    if len(tokens) < _SHORT or tokens[1] != "ACK":
        raise ValueError(f"not delivered by a consumer: {reply[:64]!r}")
    first = 4 if len(tokens) == _SHORT else 6
    delivered, sequence, _, stored_ns, pending = map(int, tokens[first : first + 5])
    return AckSubject(sequence, delivered, stored_ns, pending)
