"""Encodes a module as a document of the stream LATEST: its newest envelopes as they arrived, each with its resume
token. Decodes such documents.
"""

from typing import Final

import msgspec
from seve_schema.envelope import Kind
from seve_schema.position import Position, Token

from seve_broadcaster.snapshot.snapshot import SERIES_BYTES, Entry, Module, sample_time, series_of
from seve_broadcaster.stream.message import TopicHead


class _Entry(msgspec.Struct):
    seq: str
    data: msgspec.Raw


class _Document(msgspec.Struct):
    position: str
    heard: str
    series: list[_Entry]
    received: str = ""


class _Head(TopicHead, frozen=True, rename="camel", kw_only=True):
    kind: Kind


_encoder: Final = msgspec.json.Encoder()
_document: Final = msgspec.json.Decoder(_Document)
_head: Final = msgspec.json.Decoder(_Head)


def encode_module(module: Module) -> bytes:
    """Return the document of a module."""
    return _encoder.encode(
        _Document(
            position=str(module.position),
            heard=module.heard,
            received=module.received,
            series=[_Entry(str(entry.token), msgspec.Raw(entry.data)) for entry in module.series.values()],
        )
    )


def decode_module(document: bytes) -> Module:
    """Decode a document of `encode_module`. Raises ValueError (as msgspec's errors and PositionError are)."""
    content = _document.decode(document)
    position = Position.parse(content.position)
    module = Module(position=position, heard=content.heard, received=content.received or content.heard, saved=position)
    for saved in content.series:
        head = _head.decode(saved.data)
        key = series_of(head.kind, head)
        if key is not None:
            token = Token.parse(saved.seq)
            at = sample_time(head.kind, head)
            module.series[key] = Entry(token.position, token.place, bytes(saved.data), at)
            module.size += len(saved.data) + SERIES_BYTES
    return module
