"""A module of the present as a document of LATEST: envelopes as they arrived, each with its place in the journal."""

from typing import Final

import msgspec
from seve_schema.envelope import Kind
from seve_schema.position import Position, Token

from seve_broadcaster.snapshot.snapshot import Entry, Module, series_of
from seve_broadcaster.stream.message import Head


class _Entry(msgspec.Struct):
    seq: str
    data: msgspec.Raw


class _Document(msgspec.Struct):
    position: str
    kinds: dict[str, str]
    heard: str
    series: list[_Entry]


class _Head(Head, frozen=True, rename="camel", kw_only=True):
    kind: Kind


_encoder: Final = msgspec.json.Encoder()
_document: Final = msgspec.json.Decoder(_Document)
_head: Final = msgspec.json.Decoder(_Head)


def encode_module(module: Module) -> bytes:
    """The document of a module."""
    return _encoder.encode(
        _Document(
            position=str(module.position),
            kinds={kind: str(position) for kind, position in module.kinds.items()},
            heard=module.heard,
            series=[_Entry(str(entry.token), msgspec.Raw(entry.data)) for entry in module.series.values()],
        )
    )


def decode_module(document: bytes) -> Module:
    """The module that `encode_module` wrote. Raises ValueError (msgspec's errors are, and PositionError) for others."""
    read = _document.decode(document)
    module = Module(
        kinds={kind: Position.parse(position) for kind, position in read.kinds.items()},
        position=Position.parse(read.position),
        heard=read.heard,
    )
    for saved in read.series:
        head = _head.decode(saved.data)
        key = series_of(head.kind, head)
        if key is not None:
            module.series[key] = Entry(Token.parse(saved.seq), bytes(saved.data))
            module.size += len(saved.data)
    return module
