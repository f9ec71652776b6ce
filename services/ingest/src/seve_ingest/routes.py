"""Routes as data: which topics mean what, and how their payloads read. Matching is by whole levels; the first match
decides. Reads no payload.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal

import msgspec
from seve_schema.envelope import Kind

Payload = Literal["value", "number", "numbers"]
"""How a measurement's payload reads: `value` is an object with the value under a key, or a bare number; `number` a bare
number, boolean, ON or OFF; `numbers` an object of numbers, one sample each, nested objects naming the hardware.
"""

_CAPTURES: Final = frozenset(("module", "sensor", "hardware"))


class RouteError(ValueError):
    """A route that cannot be used; `key` names what is wrong with it."""

    def __init__(self, key: str, fault: str) -> None:
        super().__init__(f"{key}: {fault}")
        self.key = key
        self.fault = fault


class Route(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One pattern of topics. Levels are literal, `{module}`, `{sensor}`, `{hardware}`, `+` (any), or a last `#` (the
    rest, which may be empty). `module`, `sensor` and `hardware` give the name where the topic has none.

    `value` and `time` are keys of a measurement's object, `omit` keys of an object of numbers that are no samples;
    `fields` says where a state's fields are found: `{"memory.heapFreeKb": "Heap"}`. Raises RouteError.
    """

    topic: str
    kind: Kind | Literal["ignored"]
    payload: Payload = "value"
    module: str | None = None
    sensor: str | None = None
    hardware: str | None = None
    value: str = "value"
    time: str = "time"
    omit: tuple[str, ...] = ()
    fields: Mapping[str, str] = {}

    def __post_init__(self) -> None:
        levels = self.topic.split("/")
        captured = [level[1:-1] for level in levels if level.startswith("{") and level.endswith("}")]
        for level in levels:
            if not level or (("{" in level or "}" in level) and level[1:-1] not in _CAPTURES):
                raise RouteError("topic", f"{level!r} is neither a word, {{module}}, {{sensor}}, {{hardware}}, + nor #")
        if len(set(captured)) < len(captured) or "#" in levels[:-1]:
            raise RouteError("topic", "each capture may stand once, and # only at the end")
        if "module" not in captured and self.module is None and self.kind != "ignored":
            raise RouteError("module", "neither the topic nor the route names a module")
        single = self.kind == "measurement" and self.payload != "numbers"
        if single and "sensor" not in captured and self.sensor is None:
            raise RouteError("sensor", "neither the topic nor the route names a sensor")


class Match(msgspec.Struct, frozen=True):
    """What a topic means. `module_id` is empty for a route that ignores."""

    route: Route
    origin: str
    module_id: str
    sensor_type: str | None
    hardware_id: str | None


class RouteTable:
    """Routes in the order they are tried, each with the name of the preset or file it comes from."""

    def __init__(self, routes: Iterable[tuple[str, Route]]) -> None:
        self._routes = [(origin, route, tuple(route.topic.split("/"))) for origin, route in routes]

    def __iter__(self) -> Iterator[tuple[str, Route]]:
        yield from ((origin, route) for origin, route, _ in self._routes)

    def match(self, levels: list[str]) -> Match | None:
        """What a topic of these levels means, or None where no route matches."""
        for origin, route, pattern in self._routes:
            captures = _captures(pattern, levels)
            if captures is not None:
                return Match(
                    route,
                    origin,
                    captures.get("module") or route.module or "",
                    captures.get("sensor") or route.sensor,
                    captures.get("hardware") or route.hardware,
                )
        return None


def _captures(pattern: tuple[str, ...], levels: list[str]) -> dict[str, str] | None:
    if pattern[-1] == "#":
        pattern = pattern[:-1]
        levels = levels[: len(pattern)]
    if len(pattern) != len(levels):
        return None
    found: dict[str, str] = {}
    for expected, level in zip(pattern, levels, strict=True):
        if expected[0] == "{":
            found[expected[1:-1]] = level
        elif expected not in ("+", level):
            return None
    return found
