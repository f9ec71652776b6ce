"""The pull protocol of a JetStream consumer: requests, the status messages that end them, and the reply subject of a
message, which has its sequence and time. The only parser of that subject. Sends nothing itself.
"""

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec

if TYPE_CHECKING:
    from seve_runtime.nats.direct import NatsMessage

End = Literal["completed", "expired", "heartbeat", "too_big", "refused"]
"""The meaning of a status message. `heartbeat`: the server still serves the request. Any other: the request is over.
`too_big`: it ended because the next message exceeds the rest of `max_bytes`.
"""

_EXPIRED: Final = ("404", "408")

_SHORT: Final = 9
"""Number of tokens of `$JS.ACK.<stream>.<consumer>.<delivered>.<sequence>.<consumer sequence>.<ns>.<pending>`. Later
servers write a domain and a hash of the account after `ACK`, and may write one more token at the end.
https://github.com/nats-io/nats-architecture-and-design, ADR-15.
"""


class PullRequest(msgspec.Struct, omit_defaults=True):
    """Asks for at most `batch` messages and `max_bytes` bytes; `expires` and `idle_heartbeat` are in nanoseconds, 0 for
    none. With `no_wait` the server ends the request as soon as the stream has no more messages for it.
    """

    batch: int
    max_bytes: int = 0
    expires: int = 0
    idle_heartbeat: int = 0
    no_wait: bool = False


encode_request: Final = msgspec.json.Encoder().encode


def request_subject(stream: str, consumer: str) -> str:
    """Return the subject of requests to a consumer. The server sends the messages to the request's reply subject."""
    return f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"


def end_of(message: "NatsMessage") -> End | None:
    """Return the meaning of a status message, or None for a message of the stream."""
    if message.reply or not message.headers.startswith(b"NATS/1.0 "):
        return None
    code, description = message.status
    if code == "100":
        return "heartbeat"
    if "MaxBytes" in description:
        return "too_big"
    if code in _EXPIRED:
        return "expired"
    return "completed" if "Completed" in description else "refused"


class AckSubject(NamedTuple):
    """The contents of an ack subject. `sequence` is the stream's; `delivered` counts deliveries from 1; `stored_ns` is
    the time at which the stream stored the message, in nanoseconds since 1970; `pending` is the number of messages that
    the consumer has yet to deliver after this one.
    """

    sequence: int
    delivered: int
    stored_ns: int
    pending: int


def parse_ack_subject(reply: str) -> AckSubject:
    """Parse the reply subject of a message that a consumer delivered. Raises ValueError for any other subject."""
    tokens = reply.split(".")
    if len(tokens) < _SHORT or tokens[1] != "ACK":
        raise ValueError(f"not delivered by a consumer: {reply[:64]!r}")
    first = 4 if len(tokens) == _SHORT else 6
    delivered, sequence, _, stored_ns, pending = map(int, tokens[first : first + 5])
    return AckSubject(sequence, delivered, stored_ns, pending)
