"""STREAM.INFO as the server answers it, with what nats-py leaves out: the time of the oldest message, and which
messages are gone. Asks once, and judges nothing.
"""

from datetime import datetime
from typing import Final

import msgspec
from nats.aio.client import Client
from seve_schema.times import parse_time, to_micros


class Lost(msgspec.Struct):
    """Messages that the server found to be unreadable on its disk, as far as it says so."""

    msgs: list[int] | None = None


class StreamState(msgspec.Struct):
    """What the stream holds; `deleted` and `subjects` only where they were asked for. `bytes` is the size on disk."""

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
    """Of its configuration; `max_age` in nanoseconds, 0 for no limit; `max_bytes` is -1 without a limit."""

    max_age: int = 0
    max_bytes: int = -1


class Fault(msgspec.Struct, frozen=True):
    """Why there is no answer."""

    description: str = ""


class StreamInfo(msgspec.Struct):
    """`created` stays text: it has nanoseconds, and positions are cut to microseconds. Without a stream there is
    neither that nor a state.
    """

    created: str = ""
    config: Config = Config()
    state: StreamState | None = None
    error: Fault | None = None

    @property
    def created_at(self) -> int:
        """When the stream was created, microseconds since 1970. Raises ValueError where there is none."""
        return to_micros(parse_time(self.created))


class _Request(msgspec.Struct, omit_defaults=True):
    deleted_details: bool = False
    subjects_filter: str = ""


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(StreamInfo).decode


async def stream_info(
    client: Client, stream: str, *, patience: float, deleted_details: bool = False, subjects_filter: str = ""
) -> StreamInfo:
    """Ask for a stream, within `patience` seconds. Raises nats errors and msgspec.DecodeError."""
    request = _encode(_Request(deleted_details, subjects_filter))
    return _decode((await client.request(f"$JS.API.STREAM.INFO.{stream}", request, timeout=patience)).data)
