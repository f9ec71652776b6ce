"""Routes as data: topic patterns, their kinds, and how to read their payloads. A pattern matches whole levels; the
first matching route decides. Reads no payload.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal, NamedTuple, Self

import msgspec
from seve_schema.envelope import Kind

from seve_ingest.routing.presets import PRESET_TOPICS

Payload = Literal["value", "number", "numbers"]
"""How to read a measurement's payload. `value`: an object with the value under a key, a bare number, or many samples;
`number`: a bare number, boolean, ON or OFF; `numbers`: an object of numbers, one sample each, whose nested objects name
the hardware.
"""

_CAPTURES: Final = frozenset(("module", "sensor", "hardware"))


class RouteError(ValueError):
    """A route that cannot be used. `key` is its faulty key, `fault` says what is wrong."""

    def __init__(self, key: str, fault: str) -> None:
        super().__init__(f"{key}: {fault}")
        self.key = key
        self.fault = fault


class Route(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One topic pattern. Levels are literal, `{module}`, `{sensor}`, `{hardware}`, `+` (any), or a last `#` (the rest,
    which may be empty). `module`, `sensor` and `hardware` are the names if the topic has none.

    `value` is the key of a measurement's value, `time` has the keys of its time (the first that exists is used), `omit`
    has keys of an object of numbers that are no samples; `fields` maps a state's fields to the keys of the payload:
    `{"memory.heapFreeKb": "Heap"}`. Raises RouteError.
    """

    topic: str
    kind: Kind | Literal["ignored"]
    payload: Payload = "value"
    module: str | None = None
    sensor: str | None = None
    hardware: str | None = None
    value: str = "value"
    time: tuple[str, ...] = ("time",)
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

    @property
    def plain(self) -> bool:
        """Whether measurements have the form of `native`: a number, or an object with `value` and `time`."""
        return (self.payload, self.value, self.time) == ("value", "value", ("time",))


class Match(msgspec.Struct, frozen=True, gc=False):
    """The route and the names of a topic. `module_id` is empty if the route ignores the topic."""

    route: Route
    origin: str
    module_id: str
    sensor_type: str | None
    hardware_id: str | None


class _Pattern(NamedTuple):
    """A route compiled for matching: its literal words with their levels, and the levels of its captures."""

    origin: str
    route: Route
    words: tuple[tuple[int, str], ...]
    module: int | None
    sensor: int | None
    hardware: int | None

    @classmethod
    def of(cls, origin: str, route: Route) -> Self:
        levels = list(enumerate(route.topic.split("/")))
        words = tuple((place, level) for place, level in levels if level[0] != "{" and level not in ("+", "#"))
        captures = {level[1:-1]: place for place, level in levels if level[0] == "{"}
        return cls(origin, route, words, *map(captures.get, ("module", "sensor", "hardware")))


class RouteTable:
    """Routes in the order of matching, each with the name of its preset or file."""

    def __init__(self, routes: Iterable[tuple[str, Route]]) -> None:
        self._routes = list(routes)
        self._deepest = 1 + max((route.topic.count("/") + 1 for _, route in self._routes), default=0)
        self._by_depth: dict[int, list[_Pattern]] = {}

    def __iter__(self) -> Iterator[tuple[str, Route]]:
        yield from self._routes

    def match(self, levels: list[str]) -> Match | None:
        """Return the match of a topic of these levels, or None if no route matches."""
        depth = min(len(levels), self._deepest)  # all deeper topics match the same routes: those that end in #
        patterns = self._by_depth.get(depth)
        if patterns is None:
            patterns = self._by_depth[depth] = self._of_depth(depth)
        for origin, route, words, module, sensor, hardware in patterns:
            for place, word in words:
                if levels[place] != word:
                    break
            else:
                return Match(
                    route,
                    origin,
                    route.module or "" if module is None else levels[module],
                    route.sensor if sensor is None else levels[sensor],
                    route.hardware if hardware is None else levels[hardware],
                )
        return None

    def _of_depth(self, depth: int) -> list[_Pattern]:
        """Return the routes that a topic of `depth` levels can match."""
        fitting = (
            (origin, route)
            for origin, route in self._routes
            if depth == (levels := route.topic.count("/") + 1) or (route.topic.endswith("/#") and depth >= levels - 1)
        )
        return [_Pattern.of(origin, route) for origin, route in fitting]


PRESETS: Final[dict[str, tuple[Route, ...]]] = {
    name: msgspec.convert(topics, tuple[Route, ...]) for name, topics in PRESET_TOPICS.items()
}
"""The routes of each preset. `native` is tried last."""

NATIVE: Final = PRESETS["native"]
