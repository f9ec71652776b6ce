"""A journal message, decoded once for what routing and the newest values need. Encodes no frame and knows no client."""

from collections.abc import Sequence
from typing import Final, Self

import msgspec
from seve_runtime.errors import describe
from seve_schema.envelope import Kind
from seve_schema.position import Position
from seve_schema.subjects import SubjectError, parse_subject


class Head(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """The fields of an envelope that routing and the newest values need."""

    module_id: str
    received_at: str
    time: str
    sensor_type: str | None = None
    hardware_id: str | None = None
    retained: bool = False


class TopicHead(Head, frozen=True, rename="camel", kw_only=True, gc=False):
    """The same fields of an envelope of kind `other`, whose series is its topic."""

    topic: str


_parts: Final = msgspec.json.Decoder(list[msgspec.Raw])
_heads: Final = msgspec.json.Decoder(list[Head])
_topic_heads: Final = msgspec.json.Decoder(list[TopicHead])


class Message(msgspec.Struct, gc=False):
    """Envelopes of one kind and any modules, at one journal position. `parts` are views of `data`.

    `encoded` caches the frames of this message by audience (`seve_broadcaster.fanout`). An unreadable message has no
    envelopes and keeps its place in the stream; `fault` says why it is unreadable.
    """

    position: Position
    kind: Kind
    data: bytes
    parts: list[msgspec.Raw]
    heads: Sequence[Head]
    encoded: dict[object, bytes]
    fault: str = ""

    @classmethod
    def decode(cls, position: Position, kind: Kind, data: bytes) -> Self:
        """Decode an array of envelopes. Raises msgspec.DecodeError for anything else."""
        heads: Sequence[Head] = _topic_heads.decode(data) if kind == "other" else _heads.decode(data)
        return cls(position, kind, data, _parts.decode(data), heads, {})

    @classmethod
    def read(cls, position: Position, subject: str, data: bytes) -> Self:
        """Decode a message of the journal. Never raises: an unreadable one has a `fault`."""
        try:
            return cls.decode(position, parse_subject(subject)[1], data)
        except (msgspec.DecodeError, SubjectError, UnicodeError) as error:
            return cls(position, "other", b"[]", [], [], {}, describe(error))
