"""Routes from a TOML file: `[[route]]` tables whose keys are those of `routes.Route`. Every fault names file, line and
key. Pure: the caller reads the file.
"""

import re
import tomllib
from typing import Any

import msgspec

from seve_ingest.routing.routes import Route, RouteError


class RouteFileError(ValueError):
    """A file of routes that cannot be used; `faults` has a line for each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


def parse(text: str, name: str) -> list[Route]:
    """The routes in `text`, which is the file `name`. Raises RouteFileError."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RouteFileError([f"{name}: {error}"]) from None
    lines = text.splitlines()
    faults = [f"{name}:{_line(lines, key)}: {key}: not a key of this file" for key in tables if key != "route"]
    found = tables.get("route", [])
    if not isinstance(found, list):
        raise RouteFileError([f"{name}:{_line(lines, 'route')}: route: write [[route]], with two brackets"])
    routes: list[Route] = []
    starts = [number for number, line in enumerate(lines) if re.match(r"\s*\[\[\s*route\s*\]\]", line)]
    for index, table in enumerate(found):
        start = starts[index] if index < len(starts) else 0
        end = starts[index + 1] if index + 1 < len(starts) else len(lines)
        try:
            routes.append(_route(table))
        except RouteError as error:
            at = start + _line(lines[start:end], error.key)
            faults.append(f"{name}:{at}: {error.key}: {error.fault}")
    if faults:
        raise RouteFileError(faults)
    return routes


def _route(table: dict[str, Any]) -> Route:
    try:
        return msgspec.convert(table, Route)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, RouteError):
            raise error.__cause__ from None
        raise RouteError(_key(str(error)), str(error)) from None


def _key(message: str) -> str:
    """The key that a fault of msgspec is about: at the end of its path, or named where it is missing or unknown."""
    path = re.search(r"at `\$\.([^`\[.]+)", message)
    named = re.search(r"field `([^`]+)`", message)
    return path[1] if path else named[1] if named else "route"


def _line(lines: list[str], key: str) -> int:
    """The line, counted from 1, on which `key` is written; the first where it is not."""
    pattern = re.compile(rf"\s*(?:\[+\s*)?[\"']?{re.escape(key)}[\"']?\s*(?:[.=\]]|$)")
    return next((number for number, line in enumerate(lines, 1) if pattern.match(line)), 1)
