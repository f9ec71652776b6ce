"""Decides the next step after a failed transaction: retry, upsert, lift a limit, probe, or refuse the part. Pure: it
waits for nothing and knows no connection.
"""

from dataclasses import dataclass, field
from enum import Enum

from seve_writer.database.sqlstate import Fault

UNKNOWN_ATTEMPTS = 3
"""Retries after an error of unknown cause, counted only while the database answers a probe."""


class NextStep(Enum):
    """The next step of an attempt."""

    AGAIN = "again"
    """Retry at once with the changed attempt."""
    LATER = "later"
    """Retry after a backoff."""
    PROBE = "probe"
    """Retry after a backoff, and probe: the failure counts only if the database answers."""
    REFUSED = "refused"
    """Do not retry: at least one row of this part cannot be stored."""


@dataclass(slots=True)
class Attempt:
    """One part of a batch on its way into the database."""

    upsert: bool
    unlimited: bool = False
    failures: int = 0
    unknown: int = field(default=0)

    def failed(self, fault: Fault) -> NextStep:
        """Record a failure and return the next step."""
        if fault is Fault.CONFLICT and not self.upsert:
            self.upsert = True
            return NextStep.AGAIN
        if fault is Fault.DECOMPRESSION and not self.unlimited:
            self.unlimited = True
            return NextStep.AGAIN
        if fault in (Fault.ROW, Fault.CONFLICT):
            return NextStep.REFUSED
        self.failures += 1
        if fault in (Fault.UNKNOWN, Fault.DECOMPRESSION):
            return NextStep.REFUSED if self.unknown >= UNKNOWN_ATTEMPTS else NextStep.PROBE
        return NextStep.LATER

    def probed(self, *, answered: bool) -> None:
        """Record whether the database answered after a failure of unknown cause: only then the failure counts."""
        self.unknown += answered
