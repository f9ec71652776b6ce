"""A stream's account of itself as the server gives it, with what nats-py leaves out: when its oldest message came, and
which messages are gone. Asks once, and judges nothing.
"""

from datetime import datetime
from typing import Final

import msgspec
from nats.aio.client import Client
from seve_schema.times import parse_time, to_micros


class State(msgspec.Struct):
    """What the stream holds; `deleted` and `subjects` only where they were asked for."""

    messages: int
    first_seq: int
    last_seq: int
    first_ts: datetime
    num_deleted: int = 0
    deleted: list[int] = []
    subjects: dict[str, int] = {}


class Config(msgspec.Struct, frozen=True):
    """Of its configuration; `max_age` in nanoseconds, 0 for no limit."""

    max_age: int = 0


class Fault(msgspec.Struct, frozen=True):
    """Why there is no account."""

    description: str = ""


class Account(msgspec.Struct):
    """`created` stays text: it has nanoseconds, and positions are cut to microseconds. Without a stream there is
    neither that nor a state.
    """

    created: str = ""
    config: Config = Config()
    state: State | None = None
    error: Fault | None = None

    @property
    def made(self) -> int:
        """When the stream was made, microseconds since 1970. Raises ValueError where there is none."""
        return to_micros(parse_time(self.created))


class _Request(msgspec.Struct, omit_defaults=True):
    deleted_details: bool = False
    subjects_filter: str = ""


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Account).decode


async def ask(
    client: Client, stream: str, *, patience: float, deleted_details: bool = False, subjects_filter: str = ""
) -> Account:
    """The account of a stream, within `patience` seconds. Raises nats errors and msgspec.DecodeError."""
    request = _encode(_Request(deleted_details, subjects_filter))
    return _decode((await client.request(f"$JS.API.STREAM.INFO.{stream}", request, timeout=patience)).data)
