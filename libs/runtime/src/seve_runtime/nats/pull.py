"""Pull requests to a JetStream consumer: their subject, their body, and what ends them. Sends nothing itself."""

from typing import Final, Literal

import msgspec

from seve_runtime.nats.direct import Frame

End = Literal["completed", "expired", "heartbeat", "too_big", "refused"]
"""What a status message says of a request: nothing more comes within it, or (`heartbeat`) the server still serves it;
`too_big` tells that the next message exceeds what was left of `max_bytes`.
"""

_EXPIRED: Final = ("404", "408")


class PullRequest(msgspec.Struct, omit_defaults=True):
    """Ask for `batch` messages and at most `max_bytes` bytes; `expires` and `idle_heartbeat` are nanoseconds,
    0 for none. With `no_wait` the server ends the request as soon as nothing more is there.
    """

    batch: int
    max_bytes: int = 0
    expires: int = 0
    idle_heartbeat: int = 0
    no_wait: bool = False


encode_request: Final = msgspec.json.Encoder().encode


def request_subject(stream: str, consumer: str) -> str:
    """Return where requests to a consumer are published; the reply subject of a request gets the messages."""
    return f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"


def end_of(frame: Frame) -> End | None:
    """Return what a status message says, or None for a message of the stream."""
    if frame.reply or not frame.headers.startswith(b"NATS/1.0 "):
        return None
    code, description = frame.status
    if code == "100":
        return "heartbeat"
    if "MaxBytes" in description:
        return "too_big"
    if code in _EXPIRED:
        return "expired"
    return "completed" if "Completed" in description else "refused"
