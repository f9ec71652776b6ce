"""The present: the newest envelope of each series of each module, by journal position. Bounded, and counted.

A series is a sensor of a module, a kind of its status, or a topic of its own (`other`); a log line is none. An envelope
that the broker replayed (`retained`) is no news: it counts only where nothing is held.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from seve_schema.envelope import Kind
from seve_schema.position import Position, Token

from seve_broadcaster.stream.message import Head, Message

Series = tuple[str, str, str]
NEVER: Final = Position(0, 0)
EARLIEST: Final = Token(NEVER, 0)


class Entry(NamedTuple):
    """The newest envelope of a series, its bytes as they arrived, and where they stood."""

    token: Token
    data: bytes


@dataclass(slots=True)
class Module:
    """What is known of one module. `kinds` has the position of the newest message of each kind."""

    series: dict[Series, Entry] = field(default_factory=dict)
    kinds: dict[str, Position] = field(default_factory=dict)
    position: Position = NEVER
    heard: str = ""
    size: int = 0

    def entries(
        self,
        sensors: frozenset[str] | None = None,
        after: Token = EARLIEST,
        until: Token | None = None,
        kind: str | None = None,
    ) -> list[Entry]:
        """Entries in the order of the journal; `sensors` filters measurements, the others leave out what is beyond."""
        found = [
            entry
            for (of, sensor, _), entry in self.series.items()
            if (sensors is None or of != "measurement" or sensor in sensors)
            and entry.token > after
            and (until is None or entry.token <= until)
            and (kind is None or of == kind)
        ]
        found.sort()
        return found


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of the present is held; a series beyond any of these is not in snapshots, and counted."""

    module_series: int = 4096
    module_bytes: int = 4 << 20
    total_bytes: int = 256 << 20


class Present:
    """The newest of each series. `refused` counts envelopes that found no room."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self.modules: dict[str, Module] = {}
        self.bounds = bounds or Bounds()
        self.size = 0
        self.refused = 0
        self.unsure = NEVER
        self._born: dict[tuple[str, str], Position] = {}

    def apply(self, message: Message) -> None:
        """Take in a message that follows on all before it; one that is older than what is held changes nothing."""
        if not message.heads:
            return
        module = self.modules.get(message.module)
        if module is None:
            module = self.modules[message.module] = Module()
        position = message.position
        if position <= module.position:
            return
        if message.kind not in module.kinds:
            self._born[message.module, message.kind] = position
        module.position = module.kinds[message.kind] = position
        for place, head in enumerate(message.heads):
            if not head.retained:
                module.heard = head.received_at
            key = series_of(message.kind, head)
            if key is None or (head.retained and key in module.series):
                continue
            self._put(module, key, Entry(Token(position, place), message.parts[place]))

    def restore(self, name: str, module: Module) -> None:
        """Take in a module as it was saved, unless a newer one is held."""
        held = self.modules.get(name)
        if held is None or held.position < module.position:
            self.size += module.size - (held.size if held else 0)
            self.modules[name] = module

    def interrupted(self, position: Position) -> None:
        """What lies up to a position was not all taken in, so what begins before may have begun earlier."""
        self.unsure = position

    def complete(self, module: str, kind: str, after: Position, first: int | None) -> bool:
        """Whether all of a module and kind behind `after` can still be had where `first` is the oldest sequence left.

        So it is if that is no later than the next, or known to be the first there ever was.
        """
        if first is None:
            return False
        born = self._born.get((module, kind), NEVER)
        return first <= after.sequence + 1 or (after >= self.unsure and born == Position(after.journal, first))

    def news(self, after: Position) -> Iterator[tuple[str, str]]:
        """Every module and kind that had a message behind a position."""
        for name, module in self.modules.items():
            if module.position > after:
                yield from ((name, kind) for kind, position in module.kinds.items() if position > after)

    def _put(self, module: Module, key: Series, entry: Entry) -> None:
        old = module.series.get(key)
        growth = len(entry.data) - (len(old.data) if old else 0)
        bounds = self.bounds
        if growth > 0 and (
            module.size + growth > bounds.module_bytes
            or self.size + growth > bounds.total_bytes
            or (old is None and len(module.series) >= bounds.module_series)
        ):
            self.refused += 1
            if old is not None:  # an old value must not pass for the newest
                del module.series[key]
                growth = -len(old.data)
            else:
                return
        else:
            module.series[key] = entry
        module.size += growth
        self.size += growth


def series_of(kind: Kind, head: Head) -> Series | None:
    """The series an envelope belongs to; None for an event that is none."""
    if kind == "measurement":
        return (kind, head.sensor_type or "", head.hardware_id or "")
    if kind == "log":
        return None
    return (kind, head.topic, "") if kind == "other" else (kind, "", "")
