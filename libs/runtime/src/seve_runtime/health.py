"""Readiness as named conditions, liveness as the event loop's heartbeat. Keeps both; `admin` serves them."""

import time
from collections.abc import Callable

HEARTBEAT_SECONDS = 1.0
STALLED_SECONDS = 30.0


class Health:
    """The conditions of a service. It is ready if every condition holds, and live while its event loop runs.

    A condition has a name and, while it does not hold, a reason. A service sets a condition when it gains or loses a
    dependency; liveness never asks one.
    """

    def __init__(self, *conditions: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._reasons: dict[str, str | None] = dict.fromkeys(conditions, "starting")
        self._clock = clock
        self._beat = clock()

    def holds(self, condition: str) -> None:
        """Record that `condition` holds."""
        self._reasons[condition] = None

    def fails(self, condition: str, reason: str) -> None:
        """Record that `condition` does not hold, for `reason`."""
        self._reasons[condition] = reason

    @property
    def ready(self) -> bool:
        """Whether every condition holds."""
        return all(reason is None for reason in self._reasons.values())

    @property
    def reasons(self) -> dict[str, str]:
        """The conditions that do not hold, with their reasons."""
        return {condition: reason for condition, reason in self._reasons.items() if reason is not None}

    def beat(self) -> None:
        """Record that the event loop runs."""
        self._beat = self._clock()

    @property
    def live(self) -> bool:
        """Whether the event loop ran within the last 30 seconds."""
        return self._clock() - self._beat < STALLED_SECONDS
