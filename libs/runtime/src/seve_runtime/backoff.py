"""Computes the backoff before the next attempt. Pure: the caller passes the randomness."""


def backoff(attempt: int, *, first: float, longest: float) -> float:
    """Return the wait before attempt `attempt` in seconds: `first` before the first repetition (1), then doubling up to
    `longest`.
    """
    return min(longest, first * 2.0 ** min(attempt - 1, 32))


def jittered(seconds: float, chance: float) -> float:
    """Spread those that failed together over the upper half of the wait; `chance` is in [0, 1)."""
    return seconds * (0.5 + chance / 2)
