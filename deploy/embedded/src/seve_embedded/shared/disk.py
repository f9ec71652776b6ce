"""Judges whether the disk has room for the stack's data. Pure: takes sizes in bytes, asks no file system."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from seve_runtime import units

from seve_embedded.shared.tables import size

FULL: Final = 64 << 20
"""Bytes of free space below which the servers' writes will fail: nothing is restarted until there is more."""

LOW_SHARE: Final = 0.1
LOW_MOST: Final = 10 << 30
"""Room is low below a tenth of the disk, or below 10 GiB if that is less."""


STREAMS_SHARE: Final = 0.75
"""NATS reserves the sizes of streams out of this share of what is free when it starts (Max Storage in its log)."""

STREAMS: Final = {
    "JOURNAL_MAX_BYTES": 2 << 30,
    "HISTORY_MAX_BYTES": 1 << 30,
    "LATEST_MAX_BYTES": 256 << 20,
    "DEADLETTER_MAX_BYTES": 256 << 20,
}
"""The settings of the streams' sizes and their defaults. They are those of TopologySettings, which a bare Python cannot
import; a test compares them.
"""


def reserved(environ: Mapping[str, str]) -> int:
    """Return the bytes that all streams may grow to. Raises ValueError, which names the setting."""
    total = 0
    for name, default in STREAMS.items():
        try:
            total += units.size(text) if (text := environ.get(name)) else default
        except ValueError as error:
            raise ValueError(f"{name} = {environ[name]!r}: {error}") from None
    return total


def remaining(limit: int, held: int) -> int:
    """Return the bytes that streams with `held` bytes may still take; a lowered `limit` may be below that."""
    return max(0, limit - held)


def fits(growth: int, free: int) -> bool:
    """Return whether NATS can reserve `growth` more bytes for its streams on a disk with `free` bytes."""
    return growth <= free * STREAMS_SHARE


class Room(NamedTuple):
    """Free and total size of the file system that has the data."""

    free: int
    total: int

    @property
    def full(self) -> bool:
        """Whether writes are likely to fail."""
        return self.free < FULL

    def warning(self, growth: int) -> str | None:
        """Return the fault in one line, or None; the streams may grow by `growth` bytes."""
        if self.full:
            return f"the disk is full: {size(self.free)} free; what is acknowledged stays, nothing new is stored"
        if not fits(growth, self.free):
            return (
                f"the disk has {size(self.free)} free, three quarters of it for streams, the streams may still take "
                f"{size(growth)}: make room, or lower JOURNAL_MAX_BYTES and HISTORY_MAX_BYTES"
            )
        if self.free < min(LOW_SHARE * self.total, LOW_MOST):
            return f"the disk is nearly full: {size(self.free)} of {size(self.total)} free"
        return None
