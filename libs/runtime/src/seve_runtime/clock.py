"""Reads the clock in the unit of envelopes and positions."""

import time


def micros() -> int:
    """Return the current time in microseconds since 1970."""
    return time.time_ns() // 1000
