"""Finds the meaning of a topic once, and caches it: its match and the beginning of its envelopes.

The cache is bounded in bytes. Reads no payload.
"""

from functools import lru_cache
from typing import Final

import msgspec
from seve_schema.codec import encode
from seve_schema.envelope import Envelope, Kind

from seve_ingest.normalise.coerce import MAX_LEVEL_BYTES, Notes, clean
from seve_ingest.normalise.lenient_json import decode_text
from seve_ingest.normalise.verdict import Rejection, Verdict
from seve_ingest.routing.routes import Match, RouteTable

MAX_LEVELS: Final = 32
"""Most levels of a topic after the prefix. No device uses as many, and each level costs a string."""

CACHE_BYTES: Final = 96 << 20
"""Most bytes of the cache, by estimate: enough for 100,000 topics of 20 bytes."""

MAX_CACHED_TOPIC: Final = 256
"""Longest topic that is cached, in bytes."""

MAX_SENSORS: Final = 4096
"""Most pairs of sensor and hardware whose part of an envelope is cached."""

PLACE_BYTES: Final = 700
"""Bytes of a cached place without its text (tracemalloc: 590 in all for a topic of 17 bytes: the estimate is high)."""

TEXT_COPIES: Final = 12
"""Most bytes of a place per byte of its topic: the key, topic, module, sensor, and head each have a copy."""


class Place(msgspec.Struct, frozen=True, gc=False):
    """The meaning of one topic. `verdict` is set if no payload can change it, `match` if a route matched.

    `head` is the JSON of its envelopes up to the value, if plain samples of the topic may take the fast path.
    """

    topic: str
    match: Match | None = None
    verdict: Verdict | None = None
    head: str | None = None
    repairs: tuple[str, ...] = ()
    module_id: str = ""
    kind: Kind = "other"


class Topics(dict[bytes, Place]):
    """Places by topic: `topics[topic]` never raises. `ranged` are sensor types with a range of values; `prefix` is
    removed before routing.

    The cache has two generations of half `cache_bytes` each. The newer one is this dictionary. When it is full, it
    becomes the older one, and the previous older one is dropped, except for topics that arrived since. So a flood of
    new names costs an active topic one lookup, but not its place.
    """

    def __init__(
        self, routes: RouteTable, *, ranged: frozenset[str], prefix: str, cache_bytes: int = CACHE_BYTES
    ) -> None:
        super().__init__()
        self._routes = routes
        self._ranged = ranged
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._generation_bytes = cache_bytes // 2
        self._newer_bytes = 0
        self._older: dict[bytes, Place] = {}

    @property
    def cached(self) -> int:
        """The number of cached topics."""
        return len(self) + len(self._older)

    def __missing__(self, topic: bytes) -> Place:
        place = self._older.pop(topic, None) or self._placed(topic)
        if len(topic) <= MAX_CACHED_TOPIC:
            if self._newer_bytes >= self._generation_bytes:
                self._older, self._newer_bytes = dict(self), 0
                self.clear()
            self[topic] = place
            self._newer_bytes += PLACE_BYTES + TEXT_COPIES * len(topic)
        return place

    def _placed(self, topic: bytes) -> Place:
        notes: Notes = []
        cleaned = clean(decode_text(topic, notes), notes)
        repairs = tuple(notes)
        if cleaned.startswith("$"):
            return Place(cleaned, verdict=Verdict(ignored="sys"))
        levels = cleaned.removeprefix(self._prefix).split("/", MAX_LEVELS)
        if fault := _fault(levels):
            return Place(cleaned, verdict=Verdict(rejection=Rejection("bad_topic", fault), repairs=repairs))
        match = self._routes.match(levels)
        if match is None or match.route.kind == "ignored":
            return Place(cleaned, match, verdict=Verdict(ignored="route"))
        kind = match.route.kind
        plain = kind == "measurement" and match.route.plain and not repairs and match.sensor_type not in self._ranged
        head = _head(cleaned, match) if plain else None
        return Place(cleaned, match, None, head, repairs, match.module_id, kind)


def _head(topic: str, match: Match) -> str:
    """Return the JSON of a measurement's envelope up to its value."""
    before, between, after = _around(match.sensor_type, match.hardware_id)
    return f"{before}{encode(topic).decode()}{between}{encode(match.module_id).decode()}{after}"


@lru_cache(maxsize=MAX_SENSORS)
def _around(sensor_type: str | None, hardware_id: str | None) -> list[str]:
    """Return the JSON before the topic, between topic and module, and from there to the value, which are the same for
    all modules. Quotes in text are escaped, so the cuts are safe.
    """
    envelope = Envelope(
        topic="",
        module_id="",
        kind="measurement",
        sensor_type=sensor_type,
        hardware_id=hardware_id,
        time="",
        clock="server",
        received_at="",
    )
    before, _, _ = encode(envelope).decode().partition(',"value":null,')
    return (before + ',"value":').split('""', 2)


def _fault(levels: list[str]) -> str | None:
    if len(levels) < 2:
        return "a topic needs two levels at least"
    if len(levels) > MAX_LEVELS:
        return f"a topic has {MAX_LEVELS} levels at most"
    if "" in levels:
        return "a level is empty"
    if max(map(len, levels)) > 32 and any(len(level.encode()) > MAX_LEVEL_BYTES for level in levels):
        return f"a level is longer than {MAX_LEVEL_BYTES} bytes"
    return None
