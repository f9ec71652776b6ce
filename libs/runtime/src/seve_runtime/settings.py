"""Settings from the environment, read once into frozen structs, all faults reported together.

A field `flush_interval: Seconds` is the variable `FLUSH_INTERVAL`; a field whose type is a struct is a group whose
fields are variables of their own. Secrets may come from a file named by `NAME_FILE`. Reads nothing but the mapping and
those files, and never puts a value of a secret into a message.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple, TypeVar, get_args, get_origin

import msgspec
from msgspec import Meta

from seve_runtime.errors import SettingsError

T = TypeVar("T", bound=msgspec.Struct)


class Secret(str):
    """Text that shows itself to nobody; `reveal()` gives it."""

    __slots__ = ()

    def reveal(self) -> str:
        """The text itself."""
        return str.__str__(self)

    def __repr__(self) -> str:
        return "'***'" if self.reveal() else "''"

    def __format__(self, spec: str) -> str:
        return format(self.__repr__(), spec)


SECONDS: Final = "seconds"
BYTES: Final = "bytes"
LISTEN: Final = "listen"

Seconds = Annotated[float, Meta(extra={"unit": SECONDS})]
"""A duration: `5`, `500ms`, `5s`, `10m`, `2h`, `90d`. Has no sign, hence no bound here: a setting may add its own."""

Bytes = Annotated[int, Meta(extra={"unit": BYTES})]
"""A size: `1024`, `64KiB`, `256MiB`, `2GiB`."""

Count = Annotated[int, Meta(ge=1)]

Listen = Annotated[str, Meta(pattern=r"^(\[[0-9a-fA-F:.]+\]|[^:\[\]]*):[0-9]{1,5}$", extra={"unit": LISTEN})]
"""Where a server listens: `127.0.0.1:8080`, `[::1]:8080`, `:8080` for every address; port 0 takes a free one."""

_SECONDS_OF: Final = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES_OF: Final = {"": 1, "B": 1, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}
_QUANTITY: Final = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*")


class Setting(NamedTuple):
    """One variable: its name, how its default reads (None where it must be set) and what it is for."""

    name: str
    default: str | None
    description: str
    secret: bool


def load(cls: type[T], environ: Mapping[str, str]) -> T:
    """The settings struct `cls` from `environ`. An empty variable counts as unset.

    Raises SettingsError with every fault.
    """
    faults: list[str] = []
    value = _load(cls, environ, faults)
    if faults:
        raise SettingsError(faults)
    assert value is not None  # noqa: S101  (no fault, hence a value)
    return value


def describe(cls: type[msgspec.Struct]) -> list[Setting]:
    """Every variable of `cls`, in the order of its fields: what `--help` and the README's table show."""
    return [
        Setting(field.name.upper(), _shown(field), _meta(field.type).description or "", _plain(field.type) is Secret)
        for field in _fields(cls)
    ]


def split_listen(listen: str) -> tuple[str, int]:
    """Host and port of a `Listen`; an empty host is every address."""
    host, _, port = listen.rpartition(":")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104  (asked for by name)


def is_loopback(listen: str) -> bool:
    """Whether a `Listen` is reachable from this machine alone."""
    host, _ = split_listen(listen)
    return host in ("localhost", "::1") or host.startswith("127.")


def _load(cls: type[T], environ: Mapping[str, str], faults: list[str]) -> T | None:
    values: dict[str, Any] = {}
    before = len(faults)
    for field in msgspec.structs.fields(cls):
        plain = _plain(field.type)
        if _is_struct(plain):
            values[field.name] = _load(plain, environ, faults)
            continue
        name = field.name.upper()
        try:
            text = _text(name, plain, environ)
            if text is not None:
                values[field.name] = _convert(text, field.type)
            elif field.required:
                faults.append(f"{name} is not set: {_meta(field.type).description or 'it has no default'}")
        except (ValueError, OSError) as error:  # msgspec.ValidationError is a ValueError
            shown = "" if plain is Secret else f" = {environ.get(name, '')!r}"
            faults.append(f"{name}{shown}: {_reason(error)}")
    if len(faults) > before:
        return None
    try:
        return cls(**values)
    except ValueError as error:  # a rule between fields, told by __post_init__
        faults.append(str(error))
        return None


def _text(name: str, plain: Any, environ: Mapping[str, str]) -> str | None:
    path = environ.get(f"{name}_FILE") if plain is Secret else None
    if path and environ.get(name):
        raise ValueError(f"set {name} or {name}_FILE, not both")
    if path:
        return Path(path).read_text(encoding="utf-8").strip()
    return environ.get(name) or None


def _convert(text: str, kind: Any) -> Any:
    plain, unit = _plain(kind), (_meta(kind).extra or {}).get("unit")
    value: Any = text.strip()
    if plain is Secret:
        return Secret(text)
    if unit == SECONDS:
        value = _quantity(value, _SECONDS_OF, "a duration such as 500ms, 5s, 10m, 2h or 90d")
    elif unit == BYTES:
        value = int(
            _quantity(value, {k.upper(): v for k, v in _BYTES_OF.items()}, "a size such as 64KiB, 256MiB or 2GiB")
        )
    elif get_origin(plain) is tuple:
        value = [part.strip() for part in value.split(",") if part.strip()]
    return msgspec.convert(value, kind, strict=False)


def _quantity(text: str, units: Mapping[str, float], expected: str) -> float:
    match = _QUANTITY.fullmatch(text)
    unit = match and (match[2] if match[2] in units else match[2].upper() if match[2].upper() in units else None)
    if match is None or unit is None:
        raise ValueError(f"expected {expected}")
    return float(match[1]) * units[unit]


def _fields(cls: type[msgspec.Struct]) -> Iterator[msgspec.structs.FieldInfo]:
    for field in msgspec.structs.fields(cls):
        plain = _plain(field.type)
        if _is_struct(plain):
            yield from _fields(plain)
        else:
            yield field


def _is_struct(plain: Any) -> bool:
    return isinstance(plain, type) and issubclass(plain, msgspec.Struct)


def _plain(kind: Any) -> Any:
    """The type under its annotations and `| None`."""
    if get_origin(kind) is Annotated:
        return _plain(get_args(kind)[0])
    if type(None) in get_args(kind):
        return _plain(next(arg for arg in get_args(kind) if arg is not type(None)))
    return kind


def _meta(kind: Any) -> Meta:
    """All `Meta` of a type merged: the description may stand outside an annotated alias."""
    description: str | None = None
    extra: dict[str, Any] = {}
    while True:
        if get_origin(kind) is Annotated:
            for meta in get_args(kind)[1:]:
                if isinstance(meta, Meta):
                    description = meta.description or description
                    extra = {**(meta.extra or {}), **extra}
            kind = get_args(kind)[0]
        elif type(None) in get_args(kind):
            kind = next(arg for arg in get_args(kind) if arg is not type(None))
        else:
            return Meta(description=description, extra=extra)


def _shown(field: msgspec.structs.FieldInfo) -> str | None:
    if field.required:
        return None
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    unit = (_meta(field.type).extra or {}).get("unit")
    if value is None:
        return ""
    if unit == SECONDS:
        return _in_units(value, _SECONDS_OF, "s")
    if unit == BYTES:
        return _in_units(value, {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "": 1}, "")
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _in_units(value: float, units: Mapping[str, float], smallest: str) -> str:
    for unit, size in sorted(units.items(), key=lambda pair: -pair[1]):
        if unit and value >= size and value % size == 0:
            return f"{value / size:g}{unit}"
    return f"{value:g}{smallest}"


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.strerror}: {error.filename}"
    return str(error)
