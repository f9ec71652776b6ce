"""How long to wait before the next attempt. No clock, no randomness of its own."""

from typing import Final

FIRST: Final = 0.1
LONGEST: Final = 2.0


def delay(attempt: int, chance: float) -> float:
    """Seconds before attempt `attempt` (1 is the first repetition), doubling up to 2 s; `chance` in [0, 1) spreads
    writers that failed together over the upper half.
    """
    whole: float = min(LONGEST, FIRST * 2 ** min(attempt - 1, 16))
    return whole * (0.5 + chance / 2)
