"""The envelope: one normalised message of one device, the same bytes in the journal and on a screen."""

from typing import Any, Final, Literal, get_args

import msgspec

Kind = Literal[
    "measurement",
    "system.status",
    "system.config",
    "hardware.config",
    "sensors.status",
    "sensors.config",
    "presence",
    "log",
    "other",
]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

IGNORED_BY_THE_WRITER: Final[frozenset[Kind]] = frozenset({"other"})
"""Kinds that have no table: only the journal and the screens have them."""

Clock = Literal["device", "server"]


class Envelope(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One normalised message. Times are RFC 3339 in UTC with six decimals, so they sort as text (`seve_schema.times`).

    `value`, `sensor_type` and `hardware_id` belong to measurements and are null for every other kind, whose normalised
    body is in `metadata`; there, an absent key and a key that is null differ. `clock` says whether `time` is the
    device's or the time of receipt. `delivery_key` (`digest:index`) recognises a redelivery by the broker; it is null
    at QoS 0.
    """

    topic: str
    module_id: str
    kind: Kind
    sensor_type: str | None = None
    hardware_id: str | None = None
    value: float | None = None
    time: str
    clock: Clock
    received_at: str
    metadata: Any = None
    delivery_key: str | None = None
    retained: bool = False
