"""The newest envelope of each series of each module. Bounded in modules, series and bytes.

A series is a sensor of a module, a kind of its reports, or a topic (`other`); a log line belongs to none. The newest
sample is the one with the latest `sample_time`, since a device may send its buffer of yesterday; of samples with equal
times, the later in the journal. In any other series, the newest envelope is the last in the journal; there, a retained
message of the broker (`retained`) counts only if the series has no other value.

Overflow rule: an envelope beyond a bound is refused, and the value that it would have replaced is dropped, since an old
value must not pass for the newest; counter: `refused`. Sizes in bytes include Python's overhead.
"""

from dataclasses import dataclass, field
from typing import Final

import msgspec
from seve_schema.envelope import Kind
from seve_schema.position import Position, Token

from seve_broadcaster.stream.message import Head, Message, TopicHead

Series = tuple[str, str, str]
NEVER: Final = Position(0, 0)
EARLIEST: Final = Token(NEVER, 0)

MODULE_BYTES: Final = 700
"""Memory of a module without its series, measured with 100,000 modules of one series each."""

SERIES_BYTES: Final = 490
"""Memory of a series without the bytes of its envelope."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """The newest envelope of a series: its bytes as they arrived, their position, and their `sample_time`."""

    position: Position
    place: int
    data: bytes
    time: str

    @property
    def token(self) -> Token:
        """The resume token of this envelope."""
        return Token(self.position, self.place)


@dataclass(slots=True)
class Module:
    """The newest values of one module. `heard` is the time of its last own message, `received` of any message about it
    (RFC 3339). `saved` and `revision` are the position and the stream sequence of its saved document.
    """

    series: dict[Series, Entry] = field(default_factory=dict)
    position: Position = NEVER
    heard: str = ""
    received: str = ""
    size: int = MODULE_BYTES
    saved: Position = NEVER
    revision: int = 0

    def entries(
        self, sensors: frozenset[str] | None = None, after: Token = EARLIEST, until: Token | None = None
    ) -> list[Entry]:
        """Return the entries behind `after` but not behind `until`, in order. `sensors` filters measurements."""
        entries = [
            (entry.token, entry)
            for (kind, sensor, _), entry in self.series.items()
            if sensors is None or kind != "measurement" or sensor in sensors
        ]
        entries = [(token, entry) for token, entry in entries if token > after and (until is None or token <= until)]
        entries.sort(key=lambda one: one[0])
        return [entry for _, entry in entries]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of the newest values."""

    modules: int = 10_000
    module_series: int = 4096
    module_bytes: int = 4 << 20
    total_bytes: int = 256 << 20


class LatestValues:
    """The modules by name. `refused` counts envelopes beyond a bound, `forgotten` the modules that were forgotten."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self.modules: dict[str, Module] = {}
        self.bounds = bounds or Bounds()
        self.size = 0
        self.refused = 0
        self.forgotten = 0

    def apply(self, message: Message) -> None:
        """Apply the next message. Modules with a newer position are left unchanged."""
        position, kind, modules = message.position, message.kind, self.modules
        measured = kind == "measurement"
        key: Series | None
        for place, (head, part) in enumerate(zip(message.heads, message.parts, strict=True)):
            module = modules.get(head.module_id)
            if module is None:
                module = self._admit(head.module_id)
                if module is None:
                    self.refused += 1
                    continue
            elif position < module.position:
                continue
            module.position = position
            module.received = head.received_at
            if not head.retained:
                module.heard = head.received_at
            if measured:
                key = (kind, head.sensor_type or "", head.hardware_id or "")
                at = min(head.received_at, head.time)  # `sample_time`, inlined to save a call
            elif (key := series_of(kind, head)) is not None:
                at = ""
            else:
                continue
            old = module.series.get(key)
            if old is None:
                self._add(module, key, Entry(position, place, bytes(part), at))
            elif at >= old.time and (at or not head.retained):
                entry = Entry(position, place, bytes(part), at)
                self._replace(module, key, entry, len(entry.data) - len(old.data))

    def restore(self, name: str, module: Module) -> None:
        """Add a saved module, unless a newer one is held. Beyond a bound, the first restored ones are dropped."""
        held, bounds = self.modules.get(name), self.bounds
        if held and held.position >= module.position:
            return
        if module.size > bounds.module_bytes or len(module.series) > bounds.module_series:
            self.refused += len(module.series)
            return
        self._remove(name)
        self.modules[name] = module
        self.size += module.size
        while len(self.modules) > bounds.modules or self.size > bounds.total_bytes:
            first = next(iter(self.modules))
            self.refused += len(self.modules[first].series)
            self._remove(first)

    def set_back(self, end: Position, to: Position) -> None:
        """Move positions behind the `end` of the journal back to `to`: the journal was set back, so its next messages
        are newer although their sequences are lower. The values stay, since they were received.
        """
        for module in self.modules.values():
            if module.position.journal == end.journal and module.position > end:
                module.position = to
                for key, entry in module.series.items():
                    module.series[key] = msgspec.structs.replace(entry, position=min(entry.position, to))

    def forget(self, before: str) -> list[str]:
        """Drop modules of which nothing was received since `before` (RFC 3339); return their names."""
        names = [name for name, module in self.modules.items() if module.received < before]
        for name in names:
            self._remove(name)
        self.forgotten += len(names)
        return names

    def drop(self, name: str) -> None:
        """Drop one module, if it is held."""
        self.forgotten += name in self.modules
        self._remove(name)

    def _admit(self, name: str) -> Module | None:
        """Make room for a new module, if the bounds allow one more."""
        bounds = self.bounds
        if len(self.modules) >= bounds.modules or self.size + MODULE_BYTES > bounds.total_bytes:
            return None
        module = self.modules[name] = Module()
        self.size += module.size
        return module

    def _remove(self, name: str) -> None:
        module = self.modules.pop(name, None)
        if module is not None:
            self.size -= module.size

    def _add(self, module: Module, key: Series, entry: Entry) -> None:
        growth = len(entry.data) + SERIES_BYTES
        if len(module.series) < self.bounds.module_series and self._fits(module, growth):
            module.series[key] = entry
            self._grow(module, growth)
        else:
            self.refused += 1

    def _replace(self, module: Module, key: Series, entry: Entry, growth: int) -> None:
        if growth <= 0 or self._fits(module, growth):
            module.series[key] = entry
        else:
            self.refused += 1
            growth = -len(module.series.pop(key).data) - SERIES_BYTES
        if growth:
            self._grow(module, growth)

    def _fits(self, module: Module, growth: int) -> bool:
        bounds = self.bounds
        return module.size + growth <= bounds.module_bytes and self.size + growth <= bounds.total_bytes

    def _grow(self, module: Module, growth: int) -> None:
        module.size += growth
        self.size += growth


def series_of(kind: Kind, head: Head) -> Series | None:
    """Return the series that an envelope belongs to; None for a log line."""
    if kind == "measurement":
        return (kind, head.sensor_type or "", head.hardware_id or "")
    if kind == "log":
        return None
    return (kind, head.topic if isinstance(head, TopicHead) else "", "")


def sample_time(kind: Kind, head: Head) -> str:
    """Return when a sample was taken (RFC 3339), but no later than it was received: otherwise a sample from a clock
    that was ahead would stay the newest after the clock was corrected. Empty for other kinds, which only the journal
    orders.
    """
    if kind != "measurement":
        return ""
    return min(head.received_at, head.time)
