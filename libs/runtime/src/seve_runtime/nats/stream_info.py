"""Requests STREAM.INFO, with fields that nats-py leaves out: the time of the oldest message, and deleted sequences.
Sends one request and does not interpret the answer.
"""

from datetime import datetime
from typing import Final

import msgspec
from nats.aio.client import Client
from seve_schema.times import parse_time, to_micros


class Lost(msgspec.Struct):
    """Messages that the server could not read from its disk, as far as it reports them."""

    msgs: list[int] | None = None


class StreamState(msgspec.Struct):
    """The stream's contents. `deleted` and `subjects` are empty unless requested. `bytes` is the size on disk."""

    messages: int
    first_seq: int
    last_seq: int
    first_ts: datetime
    bytes: int = 0
    num_deleted: int = 0
    deleted: list[int] = []
    subjects: dict[str, int] = {}
    lost: Lost | None = None


class Config(msgspec.Struct, frozen=True):
    """Part of the configuration. Without a limit, `max_age` (nanoseconds) is 0 and `max_bytes` is -1."""

    max_age: int = 0
    max_bytes: int = -1


class ApiError(msgspec.Struct, frozen=True):
    """An error instead of an answer."""

    description: str = ""


class StreamInfo(msgspec.Struct):
    """The server's answer. `created` is text, because it has nanoseconds (`created_at` is cut to microseconds). If
    there is no such stream, `created` is empty and `state` is None.
    """

    created: str = ""
    config: Config = Config()
    state: StreamState | None = None
    error: ApiError | None = None

    @property
    def created_at(self) -> int:
        """The stream's creation time, microseconds since 1970. Raises ValueError if there is no such stream."""
        return to_micros(parse_time(self.created))


class _Request(msgspec.Struct, omit_defaults=True):
    deleted_details: bool = False
    subjects_filter: str = ""


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(StreamInfo).decode


async def stream_info(
    client: Client, stream: str, *, patience: float, deleted_details: bool = False, subjects_filter: str = ""
) -> StreamInfo:
    """Request a stream's information; wait `patience` seconds at most. Raises nats errors and msgspec.DecodeError."""
    request = _encode(_Request(deleted_details, subjects_filter))
    return _decode((await client.request(f"$JS.API.STREAM.INFO.{stream}", request, timeout=patience)).data)
