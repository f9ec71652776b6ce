"""A sample as a device wrote it. Checks neither clocks nor ranges."""

from typing import Any, Final, NamedTuple

from seve_ingest.normalise import coerce
from seve_ingest.normalise.coerce import Notes
from seve_ingest.routing.routes import Match, Route

MAX_SAMPLES: Final = 256
"""Most samples of one message, as many as a NATS message has envelopes; at 40 bytes each, 10 KiB on the device."""

_NO_VALUE: Final = frozenset(
    ("", "nan", "inf", "infinity", "null", "none", "nil", "n/a", "na", "unknown", "unavailable", "undefined")
)
"""Words, without a sign, that firmwares send instead of a missing value."""


class Sample(NamedTuple):
    """One sample: its sensor, its hardware, its value, its time as written, and the other keys that came with it.

    `unread` marks a null that replaces something that is no number: the message is then also kept as a dead letter.
    """

    sensor_type: str
    hardware_id: str | None
    value: float | None
    time: Any = None
    metadata: dict[str, Any] | None = None
    unread: bool = False


def own_sample(match: Match, raw: Any, time: Any, metadata: dict[str, Any] | None, notes: Notes) -> Sample:
    """Return a sample of the topic's own sensor."""
    value = coerce.number(raw, notes)
    return Sample(str(match.sensor_type), match.hardware_id, value, time, metadata, value is None and is_unread(raw))


def is_unread(raw: Any) -> bool:
    """Return whether a value that became null had contents: it is no number, and no word for a missing value."""
    if isinstance(raw, str):
        return raw.strip().lower().strip("+-") not in _NO_VALUE and not coerce.is_number(raw)
    return isinstance(raw, list | dict) and bool(raw)


def time_of(route: Route, value: dict[str, Any]) -> Any:
    """Return the time of an object as the device wrote it: the value of the first of the route's keys that exists."""
    return next((value[key] for key in route.time if key in value), None)
