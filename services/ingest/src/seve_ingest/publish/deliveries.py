"""MQTT messages until they are acknowledged: in the order they came, each when all that it became is held. And which
were seen before, so that a redelivery is published once. Does no I/O.

Queue: deliveries of QoS 1 and 2 not yet acknowledged. Bound: `MAX_INFLIGHT` (the session stops reading); overflow rule:
block; counter: `waiting`.
"""

from collections import deque
from collections.abc import Iterable
from hashlib import blake2b
from itertools import islice
from typing import Final

import msgspec

Outcome = tuple[str, str]
"""What a message is counted as, and why: `published`, `duplicate`, `deadletter`, `ignored` or `suppressed`."""

REMEMBERED: Final = 30_000
"""Least `bound` of Seen. NATS brings again what waited longer than its ack wait, behind all that it sent since; since
acknowledgements go out in order, that is at most what it lets wait (its `max_ack_pending`, 10,000 of ours). Twice this
bound stays below the 65,535 messages after which packet identifiers come round."""

KNOWN_BEFORE: Final = 32_768
"""How many deliveries are remembered from before the present connection."""

PUBLISHED: Final[Outcome] = ("published", "")


class Delivery(msgspec.Struct, eq=False, gc=False):
    """One MQTT message. `open` counts the parts of it that JetStream does not hold yet; `connection` is the one its
    acknowledgement belongs to; `outcome` is what it is counted as when `open` reaches zero.

    Tens of thousands are remembered and none can be part of a cycle: the garbage collector passes them over.
    """

    mid: int
    qos: int
    connection: int
    received_at: int
    open: int = 0
    outcome: Outcome = PUBLISHED
    acknowledged: bool = False


Known = Delivery | frozenset[int]


class Queue:
    """Deliveries in order of arrival, acknowledged in that order as MQTT demands (4.6)."""

    def __init__(self) -> None:
        self._waiting: deque[Delivery] = deque()

    def add(self, delivery: Delivery) -> None:
        """One more, behind the others."""
        self._waiting.append(delivery)

    def finished(self, connection: int) -> list[Delivery]:
        """Take those from the front that are held; gives the ones that belong to `connection`, to be acknowledged. The
        others came over a connection that is gone: the broker will bring them again.
        """
        waiting = self._waiting
        done: list[Delivery] = []
        while waiting and not waiting[0].open:
            delivery = waiting.popleft()
            delivery.acknowledged = True
            if delivery.connection == connection:
                done.append(delivery)
        return done

    @property
    def waiting(self) -> int:
        """How many are not acknowledged."""
        return len(self._waiting)

    @property
    def oldest(self) -> int | None:
        """When the oldest came, microseconds."""
        return self._waiting[0].received_at if self._waiting else None


class Keys:
    """Delivery keys: `{digest}:{index}`. The digest begins with four digits for the client, so that one ingest can
    tell its own keys in HISTORY from another's; then packet identifier, topic and payload.
    """

    def __init__(self, client_id: str) -> None:
        self.client = blake2b(client_id.encode(), digest_size=2).hexdigest()

    def digest(self, mid: int, topic: bytes, payload: bytes) -> str:
        """The key of one message without an index."""
        body = b"%d %d %b%b" % (mid, len(topic), topic, payload)
        return self.client + blake2b(body, digest_size=8).hexdigest()


class Seen:
    """Which deliveries are known: the newest `bound` to twice that many of this connection, in two generations of which
    the older is dropped whole; and the newest KNOWN_BEFORE from before it.

    A digest is known by the Delivery in flight or done in this process, or by the indices that HISTORY holds of it.
    What was not acknowledged when a connection ended is among the newest then, but a broker may bring it again long
    after newer messages (NATS does, after its ack wait), so what was known then is kept until the next connection.
    Packet identifiers come round after 65,535 messages: KNOWN_BEFORE stays well below, or a new message that happens to
    equal an old one could be taken for it.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._young: dict[str, Known] = {}
        self._old: dict[str, Known] = {}
        self._before: dict[str, Known] = {}

    def add(self, digest: str, delivery: Delivery) -> None:
        """`digest` is known from now on."""
        self._young[digest] = delivery
        if len(self._young) >= self._bound:
            self._old, self._young = self._young, {}

    def get(self, digest: str) -> Known | None:
        """What is known of it."""
        return self._young.get(digest) or self._old.get(digest) or self._before.get(digest)

    def connected(self) -> None:
        """A new connection: what is known now is what the broker may bring again."""
        self._keep({**self._before, **self._old, **self._young})

    def load(self, keys: Iterable[str]) -> None:
        """Learn from delivery keys of HISTORY, oldest first."""
        found: dict[str, Known] = {}
        for key in keys:
            digest, _, index = key.rpartition(":")
            known = found.pop(digest, frozenset[int]())
            found[digest] = (known if isinstance(known, frozenset) else frozenset[int]()) | {int(index)}
        self._keep(found)

    def _keep(self, known: dict[str, Known]) -> None:
        self._before = dict(islice(known.items(), max(len(known) - KNOWN_BEFORE, 0), None))
