"""One sample as a device wrote it, and what its value says. Believes neither the clock nor the range."""

from typing import Any, Final, NamedTuple

from seve_ingest.normalise import coerce
from seve_ingest.normalise.coerce import Notes
from seve_ingest.routing.routes import Match, Route

MAX_SAMPLES: Final = 256
"""Most samples of one message, as many as a NATS message has envelopes; at 40 bytes each, 10 KiB on the device."""

_NO_VALUE: Final = frozenset(
    ("", "nan", "inf", "infinity", "null", "none", "nil", "n/a", "na", "unknown", "unavailable", "undefined")
)
"""Words, without their sign, with which firmwares say that there is no value."""


class Sample(NamedTuple):
    """One sample: its sensor, its hardware, its value, its time as written, and what else the device said with it.

    `unread` marks a null that stands for something that is no number: the message is then kept as a dead letter too.
    """

    sensor_type: str
    hardware_id: str | None
    value: float | None
    time: Any = None
    metadata: dict[str, Any] | None = None
    unread: bool = False


def own_sample(match: Match, raw: Any, time: Any, metadata: dict[str, Any] | None, notes: Notes) -> Sample:
    """A sample of the topic's own sensor."""
    value = coerce.number(raw, notes)
    return Sample(str(match.sensor_type), match.hardware_id, value, time, metadata, value is None and is_unread(raw))


def is_unread(raw: Any) -> bool:
    """Whether a value that became null says more than that there is none."""
    if isinstance(raw, str):
        return raw.strip().lower().strip("+-") not in _NO_VALUE and not coerce.is_number(raw)
    return isinstance(raw, list | dict) and bool(raw)


def time_of(route: Route, value: dict[str, Any]) -> Any:
    """The time of an object as the device wrote it, under the first of the route's keys that is there."""
    return next((value[key] for key in route.time if key in value), None)
