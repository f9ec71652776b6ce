"""When the session reads from the broker's socket again. Reads no clock. See decision 0110."""

from typing import Final

PACE: Final = 0.002
"""Seconds between two reads while messages come: at 1,000 per second two share each step to the screens."""

BUSY: Final = ((64, 0.006), (16, 0.004))
"""Seconds until the next read, after one of more messages than this: the more come, the less the samples in a step cost
beside the step itself.
"""


def until_next_read(messages: int, since: float) -> float:
    """Return the seconds to wait after a read that brought so many messages, `since` seconds after the read before it;
    0 to read as soon as bytes arrive.
    """
    for more, pace in BUSY:
        if messages > more:
            return pace
    return PACE if since < 2 * PACE else 0.0
