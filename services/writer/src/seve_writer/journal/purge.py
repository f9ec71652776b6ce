"""Decides how much of the journal's oldest part can be purged. Pure: the monitor purges."""

from typing import Final

HYSTERESIS: Final = 16
"""A purge frees at least this fraction of what history may keep, so that NATS rewrites few blocks."""


def purge_before(*, first: int, messages: int, size: int, ack_floor: int, history: int) -> int | None:
    """Return the sequence before which everything may be purged, or None if nothing has to be.

    The journal holds `messages` of `size` bytes in all, from sequence `first` on; every message up to `ack_floor` is
    stored in the database; `history` bytes may be kept. The number of messages to purge is estimated from their mean
    size, and the next call corrects it. Messages above the ack floor are never purged, whatever the size.
    """
    if size <= history or not messages:
        return None
    excess = size - history + history // HYSTERESIS
    target = min(first + max(1, excess * messages // size), ack_floor + 1)
    return target if target > first else None
