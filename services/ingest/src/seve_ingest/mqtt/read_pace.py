"""When the session reads from the broker's socket again. Reads no clock. See decision 0110."""

from typing import Final

PACE: Final = 0.002
"""Seconds between two reads while messages come: at 1,000 per second two share each step to the screens."""

BUSY_PACE: Final = 0.005
"""Seconds between two reads where many messages come: there the steps cost more than the messages in them."""

BUSY: Final = 16
"""Messages: a read that brings more is followed by `BUSY_PACE`."""


def until_next_read(messages: int, since: float) -> float:
    """Return the seconds to wait after a read that brought so many messages, `since` seconds after the read before it;
    0 to read as soon as bytes arrive.
    """
    if messages > BUSY:
        return BUSY_PACE
    return PACE if since < 2 * PACE else 0.0
