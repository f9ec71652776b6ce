"""Whether the disk has room for what the stack keeps. Pure: is given sizes in bytes, asks no file system."""

from typing import Final, NamedTuple

from seve_embedded.shared.tables import size

FULL: Final = 64 << 20
"""Below this the servers are refused by the system sooner or later: nothing is restarted until there is more."""

LOW_SHARE: Final = 0.1
LOW_MOST: Final = 10 << 30
"""Room is low below a tenth of the disk, or below 10 GiB where that is less."""


class Room(NamedTuple):
    """Free and whole size of the file system on which the data are."""

    free: int
    total: int

    @property
    def full(self) -> bool:
        """Whether nothing can be expected to be written."""
        return self.free < FULL

    def warning(self, growth: int) -> str | None:
        """Return what is wrong in one line, None if nothing is; the streams may grow by `growth` bytes."""
        if self.full:
            return f"the disk is full: {size(self.free)} free; what is acknowledged stays, nothing new is stored"
        if self.free < growth + FULL:
            return (
                f"the disk has {size(self.free)} free, the streams may still take {size(growth)}: "
                "make room, or lower JOURNAL_MAX_BYTES and HISTORY_MAX_BYTES"
            )
        if self.free < min(LOW_SHARE * self.total, LOW_MOST):
            return f"the disk is nearly full: {size(self.free)} of {size(self.total)} free"
        return None
