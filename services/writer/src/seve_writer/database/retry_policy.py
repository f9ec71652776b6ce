"""What to do about a failed transaction, step by step, as a pure decision: repeat, upsert, lift a limit, probe or give
the part up as refused. Waits for nothing and knows no connection.
"""

from dataclasses import dataclass, field
from enum import Enum

from seve_writer.database.sqlstate import Fault

UNKNOWN_ATTEMPTS = 3
"""How often an error of unknown cause is repeated while the database answers a probe."""


class Step(Enum):
    """What comes next."""

    AGAIN = "again"
    """At once, differently."""
    LATER = "later"
    """The same, after a backoff."""
    PROBE = "probe"
    """The same after a backoff, if the database answers; told apart from LATER because only then it counts."""
    REFUSED = "refused"
    """Not at all: something in this part cannot be stored."""


@dataclass(slots=True)
class Attempt:
    """One part of a batch on its way into the database."""

    upsert: bool
    unlimited: bool = False
    failures: int = 0
    unknown: int = field(default=0)

    def failed(self, fault: Fault) -> Step:
        """Take note of a failure; tells what comes next."""
        if fault is Fault.CONFLICT and not self.upsert:
            self.upsert = True
            return Step.AGAIN
        if fault is Fault.DECOMPRESSION and not self.unlimited:
            self.unlimited = True
            return Step.AGAIN
        if fault in (Fault.ROW, Fault.CONFLICT):
            return Step.REFUSED
        self.failures += 1
        if fault in (Fault.UNKNOWN, Fault.DECOMPRESSION):
            return Step.REFUSED if self.unknown >= UNKNOWN_ATTEMPTS else Step.PROBE
        return Step.LATER

    def probed(self, *, answered: bool) -> None:
        """Whether the database answered after a failure of unknown cause: only then the failure counts."""
        self.unknown += answered
