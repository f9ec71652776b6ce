"""Keeps MQTT messages until they can be acknowledged: in order of arrival, each as soon as the journal holds all of its
envelopes. Does no I/O: `session` sends PUBACK or PUBREC.

Queue: deliveries of QoS 1 and 2 not yet acknowledged. Bound: `MAX_INFLIGHT` (the session stops reading); overflow rule:
block; counter: `waiting`.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final

import msgspec

Outcome = tuple[str, str]
"""The outcome of a message and its reason: `published`, `duplicate`, `deadletter`, `ignored` or `suppressed`."""

PUBLISHED: Final[Outcome] = ("published", "")
DUPLICATE: Final[Outcome] = ("duplicate", "")


class Delivery(msgspec.Struct, eq=False, gc=False):
    """One MQTT message. `open` is the number of its parts that the journal does not hold yet; `connection` is the
    number of the connection it has to be acknowledged on; `outcome` is counted once `open` reaches zero. `content` is
    the digest of topic and payload; `held` has the indices of the envelopes that an earlier process published, None for
    a message of this process.

    Tens of thousands are kept, and none can be part of a cycle, so the garbage collector does not visit them.
    """

    mid: int
    qos: int
    connection: int
    received_at: int
    content: str = ""
    open: int = 0
    outcome: Outcome = PUBLISHED
    acknowledged: bool = False
    held: frozenset[int] | None = None


class AckQueue:
    """Deliveries in order of arrival, acknowledged in that order as MQTT demands (4.6)."""

    def __init__(self) -> None:
        self._waiting: deque[Delivery] = deque()

    def add(self, delivery: Delivery) -> None:
        """Add a delivery behind the others."""
        self._waiting.append(delivery)

    def add_all(self, deliveries: Iterable[Delivery]) -> None:
        """Add deliveries behind the others, in their order."""
        self._waiting.extend(deliveries)

    def take(self, connection: int) -> list[Delivery]:
        """Remove the deliveries at the front that the journal holds; return those of `connection`, to be acknowledged.
        The others came over a connection that was lost: the broker will send them again.
        """
        waiting = self._waiting
        done: list[Delivery] = []
        while waiting and not waiting[0].open:
            delivery = waiting.popleft()
            delivery.acknowledged = True
            if delivery.connection == connection:
                done.append(delivery)
        return done

    def unacknowledged(self) -> list[Delivery]:
        """Return all that wait, oldest first."""
        return list(self._waiting)

    @property
    def waiting(self) -> int:
        """The number of deliveries that are not acknowledged."""
        return len(self._waiting)

    @property
    def oldest(self) -> int | None:
        """The arrival time of the oldest delivery, in microseconds since 1970; None if there is none."""
        return self._waiting[0].received_at if self._waiting else None
