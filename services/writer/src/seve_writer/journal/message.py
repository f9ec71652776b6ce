"""A journal message as it was delivered, and what its acknowledgement subject tells. Acknowledges nothing itself."""

import msgspec

_PLAIN = 9
"""Tokens of `$JS.ACK.<stream>.<consumer>.<delivered>.<sequence>.<consumer sequence>.<ns>.<pending>`; with a JetStream
domain, two more stand after `ACK`. https://github.com/nats-io/nats-architecture-and-design, ADR-15."""


class Delivery(msgspec.Struct, frozen=True):
    """One NATS message in a writer's hands. `ack` is the subject to answer on; `stored_ns` is when the journal took it,
    nanoseconds since 1970; `delivered` counts from 1.
    """

    subject: str
    data: bytes
    ack: str
    sequence: int
    delivered: int
    stored_ns: int


def read_delivery(subject: str, reply: str, data: bytes) -> Delivery:
    """The delivery of a message pulled from a consumer. Raises ValueError for any other reply subject."""
    tokens = reply.split(".")
    if len(tokens) < _PLAIN or tokens[1] != "ACK":
        raise ValueError(f"not delivered by a consumer: {reply[:64]!r}")
    skip = 0 if len(tokens) == _PLAIN else 2
    return Delivery(subject, data, reply, int(tokens[5 + skip]), int(tokens[4 + skip]), int(tokens[7 + skip]))
