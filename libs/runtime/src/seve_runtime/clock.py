"""The time of day in the unit of envelopes and positions."""

import time


def micros() -> int:
    """Return the time of day in microseconds since 1970."""
    return time.time_ns() // 1000
