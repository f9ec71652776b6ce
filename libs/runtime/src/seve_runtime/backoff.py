"""Computes the backoff before the next attempt. Pure: the caller passes the randomness."""


def backoff(attempt: int, *, first: float, longest: float) -> float:
    """Return the wait in seconds before retry `attempt`, counted from 1: `first` before the first retry, then twice as
    long each time, at most `longest`.
    """
    return min(longest, first * 2.0 ** min(attempt - 1, 32))


def jittered(seconds: float, chance: float) -> float:
    """Return a wait between half of `seconds` and all of it, so that clients that failed together do not retry at once.
    `chance`, a random number in [0, 1), selects it.
    """
    return seconds * (0.5 + chance / 2)
