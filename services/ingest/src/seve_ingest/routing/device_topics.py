"""Derives the topics that a device with an identity may use: those that the routes read as messages of that device.

They follow from the routes that ingest matches, so a new preset or a line of the route file needs no second list. Uses
only the standard library: both modes of the stack load it on a Python without packages. Knows no broker; filters are
those of MQTT.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from seve_ingest.routing.presets import PRESET_TOPICS

COMMANDS: Final = ("cmnd/{module}/#", "{module}/set/#")
"""Commands to a device: the only topics that it may read."""

ALL_COMMANDS: Final = ("cmnd/#", "+/set/#")
"""Commands to all devices: the only topics that devices without an identity may read."""

_ANY: Final = "{module}"
"""Stands for a name that no route mentions."""

MAX_NAME_BYTES: Final = 128
"""Most bytes of a topic's level, as in ingest."""

_NAME: Final = re.compile(r"[^\W_](?:[^\W]|[.-]){0,63}")
_FILTER: Final = re.compile(r"[^\W_][^\s/+#$*>\x7f]*(?:/(?:[^\s/+#$*>\x7f]+|\+))*(?:/#)?")


class Layout(NamedTuple):
    """The parts of a route that decide whose a topic is. `module` is set if the topic has no level for it."""

    topic: str
    kind: str
    module: str = ""


def routes(presets: str, own: Iterable[Layout] = ()) -> list[Layout]:
    """Return the routes in the order ingest tries them; `presets` is ROUTE_PRESETS. Raises ValueError."""
    names = [name for name in (word.strip() for word in presets.split(",")) if name and name != "native"]
    if strange := [name for name in names if name not in PRESET_TOPICS]:
        raise ValueError(f"ROUTE_PRESETS: {strange[0]!r} is none of {', '.join(sorted(PRESET_TOPICS))}")
    ours = (words for name in (*names, "native") for words in PRESET_TOPICS[name])
    return [*own, *(Layout(words["topic"], words["kind"], words.get("module", "")) for words in ours)]


def usable_name(module: str) -> bool:
    """Return whether a module's name can be a user name and a level of a topic at every broker."""
    return _NAME.fullmatch(module) is not None and len(module.encode()) <= MAX_NAME_BYTES


def usable_filter(topic: str) -> bool:
    """Return whether a gateway may have a filter: it begins with a word, so it never matches the broker's own
    topics.
    """
    return _FILTER.fullmatch(topic) is not None


def publish(table: Sequence[Layout], module: str, prefix: str = "") -> list[str]:
    """Return the topic filters under which a module may publish. None matches a topic of another module.

    Leaves out a route's filter if an earlier route would read a topic under it as another module's.
    """
    routes = tuple(table)
    before = [prefix.strip("/")] if prefix.strip("/") else []
    name = module if module in _words(routes) else _ANY
    return ["/".join([*before, *levels]).replace(_ANY, module) for levels in _filters(routes, name)]


def read(module: str) -> list[str]:
    """Return the topic filters that a module may read."""
    return [command.format(module=module) for command in COMMANDS]


@lru_cache(maxsize=8)
def _words(table: tuple[Layout, ...]) -> frozenset[str]:
    """Return the names that routes mention; all others have the same rights, each under its own name."""
    return frozenset(word for route in table for word in (*route.topic.split("/"), route.module))


@lru_cache(maxsize=64)
def _filters(table: tuple[Layout, ...], module: str) -> tuple[tuple[str, ...], ...]:
    filters = [
        filled
        for place, route in enumerate(table)
        if route.kind != "ignored"
        and (filled := _filled(route, module))
        and not any(_of_another(earlier, filled, module) for earlier in table[:place])
    ]
    return tuple(_widest(filters))


def _filled(route: Layout, module: str) -> tuple[str, ...] | None:
    """Return the levels of the filter for a module's topics in a route; None if the route has none of this module."""
    levels = route.topic.split("/")
    if "{module}" not in levels and route.module != module:
        return None
    return tuple(module if level == "{module}" else "+" if level.startswith("{") else level for level in levels)


def _of_another(earlier: Layout, levels: Sequence[str], module: str) -> bool:
    """Return whether an earlier route reads, or may read, topics of a filter as those of another module."""
    own = earlier.topic.split("/")
    if earlier.kind == "ignored" or not _overlap([_plain(level) for level in own], levels):
        return False
    if "{module}" not in own:
        return earlier.module != module
    place = own.index("{module}")
    return place >= len(levels) or levels[place] != module


def _plain(level: str) -> str:
    return "+" if level.startswith("{") else level


def _overlap(one: Sequence[str], other: Sequence[str]) -> bool:
    """Return whether a topic can match both filters. A `#` at the end also matches no level at all."""
    for mine, theirs in zip(one, other, strict=False):
        if "#" in (mine, theirs):
            return True
        if mine != theirs and "+" not in (mine, theirs):
            return False
    longer = max(one, other, key=len)
    return len(one) == len(other) or longer[min(len(one), len(other))] == "#"


def _covers(wide: Sequence[str], narrow: Sequence[str]) -> bool:
    """Return whether every topic of `narrow` matches `wide`."""
    for place, level in enumerate(wide):
        if level == "#":
            return True
        if place >= len(narrow) or narrow[place] == "#" or level not in ("+", narrow[place]):
            return False
    return len(wide) == len(narrow)


def _widest(filters: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return the filters that no other one covers, in their order."""
    several = list(dict.fromkeys(filters))
    return [one for one in several if not any(other != one and _covers(other, one) for other in several)]
