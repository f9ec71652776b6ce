"""Reads settings from the environment, once, into frozen structs; reports all faults together.

A field `flush_interval: Seconds` is the variable `FLUSH_INTERVAL`. A field whose type is a struct is a group; its
fields are variables themselves. A secret `NAME` may come from the file that `NAME_FILE` names. Reads only the mapping
and those files, and never puts a secret's value into a message.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar, get_origin

import msgspec
from msgspec import Meta

from seve_runtime import units
from seve_runtime.annotated import BYTES, LISTEN, SECONDS, description, expected, is_struct, plain, unit
from seve_runtime.errors import SettingsError

T = TypeVar("T", bound=msgspec.Struct)


class Secret:
    """Text that no conversion shows; `reveal()` returns it.

    Not a subclass of `str`: concatenation and JSON encoders read the text of a `str` without calling its methods.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "'***'" if self else "''"


Seconds = Annotated[float, Meta(extra={"unit": SECONDS})]
"""A duration: `500ms`, `5s`, `10m`, `2h`, `90d`, or `0`. It has no sign; a setting may add bounds."""

Bytes = Annotated[int, Meta(extra={"unit": BYTES})]
"""A size: `64KiB`, `256MiB`, `2GiB`, or `0`."""

Count = Annotated[int, Meta(ge=1)]

Listen = Annotated[str, Meta(extra={"unit": LISTEN})]
"""A listen address: `127.0.0.1:8080`, `[::1]:8080`, `:8080` for every address; port 0 takes a free one."""


class Setting(NamedTuple):
    """A variable: its name, its default as text (None if it must be set), and its description."""

    name: str
    default: str | None
    description: str
    secret: bool


def load(cls: type[T], environ: Mapping[str, str]) -> T:
    """Return the settings struct `cls` from `environ`. An empty variable counts as unset.

    Raises SettingsError with every fault.
    """
    faults: list[str] = []
    value = _load(cls, environ, faults)
    if faults:
        raise SettingsError(faults)
    assert value is not None  # noqa: S101  (no fault, hence a value)
    return value


def describe(cls: type[msgspec.Struct]) -> list[Setting]:
    """Return every variable of `cls` in the order of its fields, for `--help` and the README's table."""
    return [
        Setting(field.name.upper(), _shown(field), description(field.type), plain(field.type) is Secret)
        for field in _fields(cls)
    ]


def _load(cls: type[T], environ: Mapping[str, str], faults: list[str]) -> T | None:
    values: dict[str, Any] = {}
    before = len(faults)
    for field in msgspec.structs.fields(cls):
        base = plain(field.type)
        if is_struct(base):
            values[field.name] = _load(base, environ, faults)
            continue
        name = field.name.upper()
        try:
            text = _text(name, base, environ)
            if text is not None:
                values[field.name] = _convert(text, field.type)
            elif field.required:
                faults.append(f"{name} is not set: {description(field.type) or 'it has no default'}")
        except (ValueError, OSError) as error:
            shown = "" if base is Secret else f" = {environ.get(name, '')!r}"
            faults.append(f"{name}{shown}: {_reason(error)}")
    if len(faults) > before:
        return None
    try:
        return cls(**values)
    except ValueError as error:  # a rule between fields, raised by __post_init__
        faults.append(str(error))
        return None


def _text(name: str, base: Any, environ: Mapping[str, str]) -> str | None:
    path = environ.get(f"{name}_FILE") if base is Secret else None
    if path and environ.get(name):
        raise ValueError(f"set {name} or {name}_FILE, not both")
    if path:
        return Path(path).read_text(encoding="utf-8").strip()
    return environ.get(name) or None


def _convert(text: str, kind: Any) -> Any:
    base = plain(kind)
    value: Any = text.strip()
    if base is Secret:
        return Secret(text)
    if read := {SECONDS: units.seconds, BYTES: units.size, LISTEN: units.listen}.get(unit(kind) or ""):
        value = read(value)
    elif get_origin(base) is tuple:
        value = [part.strip() for part in value.split(",") if part.strip()]
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(f"expected {words}" if (words := expected(kind)) else str(error)) from error


def _fields(cls: type[msgspec.Struct]) -> Iterator[msgspec.structs.FieldInfo]:
    for field in msgspec.structs.fields(cls):
        base = plain(field.type)
        if is_struct(base):
            yield from _fields(base)
        else:
            yield field


def _shown(field: msgspec.structs.FieldInfo) -> str | None:
    if field.required:
        return None
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if value is None:
        return ""
    if show := {SECONDS: units.duration_text, BYTES: units.size_text}.get(unit(field.type) or ""):
        return show(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Secret):
        return value.reveal()
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.strerror}: {error.filename}"
    return str(error)
