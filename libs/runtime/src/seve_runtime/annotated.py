"""Reads the type annotations of settings: the plain type and the constraints around it. Pure."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta

from seve_runtime.units import DURATION, LISTEN_ADDRESS, SIZE, duration_text, size_text

SECONDS, BYTES, LISTEN = "seconds", "bytes", "listen"


def plain(kind: Any) -> Any:
    """Return the type under its annotations and `| None`."""
    if get_origin(kind) is Annotated:
        return plain(get_args(kind)[0])
    if type(None) in get_args(kind):
        return plain(next(arg for arg in get_args(kind) if arg is not type(None)))
    return kind


def is_struct(kind: Any) -> bool:
    """Return whether a plain type is a group of settings."""
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def description(kind: Any) -> str:
    """Return the description of a type: the outermost one."""
    return next((meta.description for meta in _metas(kind) if meta.description), "")


def unit(kind: Any) -> str | None:
    """Return the unit of a type: SECONDS, BYTES, LISTEN or None."""
    return next((meta.extra["unit"] for meta in _metas(kind) if meta.extra and "unit" in meta.extra), None)


def expected(kind: Any) -> str | None:
    """Return the form of a value of this type, for an error text; None if the type does not tell it."""
    base = plain(kind)
    if get_origin(base) is Literal:
        return f"one of {_choices(base)}"
    if get_origin(base) is tuple:
        item = get_args(base)[0]
        return f"some of {_choices(item)}, separated by commas" if get_origin(item) is Literal else None
    if base is bool:
        return "true or false"
    example = next((meta.extra["expected"] for meta in _metas(kind) if meta.extra and "expected" in meta.extra), None)
    return example or _number(kind)


def _number(kind: Any) -> str | None:
    noun = {SECONDS: DURATION, BYTES: SIZE, LISTEN: LISTEN_ADDRESS}.get(unit(kind) or "")
    noun = noun or ("a whole number" if plain(kind) is int else None)
    limits = [text for meta in _metas(kind) for text in _limits(meta, unit(kind))]
    return noun and ", ".join([noun, *limits])


def _limits(meta: Meta, its_unit: str | None) -> Iterator[str]:
    show = {SECONDS: duration_text, BYTES: size_text}.get(its_unit or "", str)
    for words, limit in (("at least", meta.ge), ("at most", meta.le), ("more than", meta.gt), ("less than", meta.lt)):
        if limit is not None:
            yield f"{words} {show(limit) if limit else 0}"


def _choices(literal: Any) -> str:
    return ", ".join(map(str, get_args(literal)))


def _metas(kind: Any) -> Iterator[Meta]:
    """Yield every `Meta` of a type, the outermost first."""
    while True:
        if get_origin(kind) is Annotated:
            yield from (meta for meta in reversed(get_args(kind)[1:]) if isinstance(meta, Meta))
            kind = get_args(kind)[0]
        elif type(None) in get_args(kind):
            kind = next(arg for arg in get_args(kind) if arg is not type(None))
        else:
            return
