"""Parses a TOML file of routes and their tests: `[[route]]` tables with the keys of `routes.Route`, `[[test]]` tables
with those of `RouteTest`. Each fault names file, line and key. Pure: the caller reads the file.
"""

import re
import tomllib
from typing import Any, Final, Literal, NamedTuple, TypeVar

import msgspec
from seve_schema.envelope import Clock, Kind

from seve_ingest.routing.routes import Route, RouteError

_TABLES: Final = ("route", "test")
_Table = TypeVar("_Table", bound=msgspec.Struct)


class Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Fields of one expected envelope; those left out may have any value. TOML has no null: `value` may be `"null"`."""

    kind: Kind | msgspec.UnsetType = msgspec.UNSET
    module: str | msgspec.UnsetType = msgspec.UNSET
    sensor: str | msgspec.UnsetType = msgspec.UNSET
    hardware: str | msgspec.UnsetType = msgspec.UNSET
    value: float | Literal["null"] | msgspec.UnsetType = msgspec.UNSET
    time: str | msgspec.UnsetType = msgspec.UNSET
    clock: Clock | msgspec.UnsetType = msgspec.UNSET
    metadata: Any = msgspec.UNSET


class RouteTest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One message and its expected outcome: envelopes in order, or the reason why it is refused or ignored.

    `received_at` is an RFC 3339 time; without it the message counts as received now.
    """

    topic: str
    payload: str
    expect: str | Expected | list[Expected]
    retained: bool = False
    received_at: str | None = None


class RouteFile(NamedTuple):
    """The routes of a file in their order, and its tests, each with the line on which it begins."""

    routes: list[Route]
    tests: list[tuple[int, RouteTest]]


class RouteFileError(ValueError):
    """A route file that cannot be used; `faults` has one line for each fault."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


def parse(text: str, name: str) -> RouteFile:
    """Return the routes and tests in `text`, the content of the file `name`. Raises RouteFileError."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RouteFileError([f"{name}: {error}"]) from None
    reader = _Reader(name, text.splitlines(), tables)
    routes, tests = reader.read("route", Route), reader.read("test", RouteTest)
    if reader.faults:
        raise RouteFileError(reader.faults)
    return RouteFile([route for _, route in routes], tests)


class _Reader:
    """The tables of one file, and the faults found in them."""

    def __init__(self, name: str, lines: list[str], tables: dict[str, Any]) -> None:
        self._name = name
        self._lines = lines
        self._tables = tables
        self._starts = [number for number, line in enumerate(lines) if re.match(r"\s*\[\[", line)]
        self.faults: list[str] = []
        for key in tables:
            if key not in _TABLES:
                self._fault(_line(lines, key), key, "not a key of this file")

    def read(self, key: str, struct: type[_Table]) -> list[tuple[int, _Table]]:
        """Return the tables under `key`, each with the line on which it begins."""
        items = self._tables.get(key, [])
        if not isinstance(items, list):
            self._fault(_line(self._lines, key), key, f"write [[{key}]], with two brackets")
            return []
        own = [number for number in self._starts if re.match(rf"\s*\[\[\s*{key}\s*\]\]", self._lines[number])]
        result = []
        for index, item in enumerate(items):
            start = own[index] if index < len(own) else 0
            end = next((number for number in self._starts if number > start), len(self._lines))
            try:
                result.append((start + 1, _converted(item, struct, key)))
            except RouteError as error:
                self._fault(start + _line(self._lines[start:end], error.key), error.key, error.fault)
        return result

    def _fault(self, line: int, key: str, fault: str) -> None:
        self.faults.append(f"{self._name}:{line}: {key}: {fault}")


def _converted(table: Any, struct: type[_Table], key: str) -> _Table:
    try:
        return msgspec.convert(table, struct)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, RouteError):
            raise error.__cause__ from None
        raise RouteError(_key(str(error), key), str(error)) from None


def _key(message: str, table: str) -> str:
    """Return the key that an error of msgspec is about: the first of its path, or the missing or unknown one it
    names.
    """
    path = re.search(r"at `\$\.([^`\[.]+)", message)
    named = re.search(r"field `([^`]+)`", message)
    return path[1] if path else named[1] if named else table


def _line(lines: list[str], key: str) -> int:
    """Return the number, from 1, of the line on which `key` is written; 1 if it is not written."""
    pattern = re.compile(rf"\s*(?:\[+\s*)?[\"']?{re.escape(key)}[\"']?\s*(?:[.=\]]|$)")
    return next((number for number, line in enumerate(lines, 1) if pattern.match(line)), 1)
