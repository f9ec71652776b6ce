"""Recognises MQTT messages that the broker has sent before, so that each is published once. Does no I/O.

A broker does not use a packet identifier again before it has taken the acknowledgement, so the newest message of each
identifier is all that it can send again: an exact memory, bounded by the 65,535 identifiers. nats-server (2.15) breaks
the rule twice: a message whose acknowledgement crossed its redelivery comes under a new identifier, and after a restart
of the server all do. See decision 0109.
"""

from collections.abc import Iterable
from hashlib import blake2b
from itertools import islice
from typing import Final

import msgspec
from seve_schema.times import MICROS

from seve_ingest.publish.deliveries import Delivery

IDENTIFIERS: Final = 65_535
"""Packet identifiers run from 1 to this."""

LARGEST_WINDOW: Final = 16_384
"""How many messages a broker may have in flight at most, and so the largest `MAX_INFLIGHT`."""

UNREAD: Final = 1.25
LATE: Final = 0.5
"""If a message lies unread for `UNREAD` seconds, or is acknowledged `LATE` seconds after it was read, NATS' MQTT
listener may be sending it again when it takes the acknowledgement. It does so 3 s after the first sending, in our
configuration, and if it is overloaded an acknowledgement waits there for seconds.
"""

CROSSING: Final = 10.0
"""For this many seconds after a late acknowledgement, an equal message with DUP is taken for its redelivery."""

REMEMBERED: Final = IDENTIFIERS - LARGEST_WINDOW
"""Acknowledged messages that are remembered over a lost connection. Identifiers come round: a message that was lost
with the connection may have the identifier and the content of one that was acknowledged more than this many before it.
"""


_CONTENT: Final = blake2b(digest_size=8)


def client_digest(client_id: str) -> str:
    """Return the four digits that begin the delivery keys of one MQTT client."""
    return blake2b(client_id.encode(), digest_size=2).hexdigest()


def content_digest(topic: bytes, payload: bytes) -> str:
    """Return 16 digits of a digest of topic and payload, which distinguish a redelivery from a new message."""
    digest = _CONTENT.copy()  # reading the arguments of a new one takes twice as long as the digest
    digest.update(b"%d %b%b" % (len(topic), topic, payload))
    return digest.hexdigest()


class KnownKey(msgspec.Struct, frozen=True):
    """A delivery key of the journal: `{client: 4 digits}{mid: 4 hex digits}{content: 16 digits}:{index}`."""

    mid: int
    content: str
    index: int

    @classmethod
    def of(cls, key: str, client: str) -> "KnownKey | None":
        """Parse a delivery key; return None for another client's key, and for text that is no delivery key."""
        if len(key) < 26 or key[24] != ":" or not key.startswith(client):
            return None
        try:
            return cls(int(key[4:8], 16), key[8:24], int(key[25:]))
        except ValueError:
            return None


class _Envelope(msgspec.Struct, rename="camel"):
    delivery_key: str | None = None


_envelopes: Final = msgspec.json.Decoder(list[_Envelope]).decode


def delivery_keys(data: bytes) -> list[str | None]:
    """Return the delivery key of each envelope of a journal message. Raises msgspec.DecodeError."""
    return [each.delivery_key for each in _envelopes(data)]


class RedeliveryMemory:
    """The newest delivery of each of `identifiers` packet identifiers; a broker has at most `window` in flight.

    `unanswered` are messages, by content, that were unacknowledged when a connection was lost: each comes again once.
    `_late` are messages of this connection, by content, with the time of their late acknowledgement, oldest first; the
    newest `identifiers` of them. `end` is the last sequence of the journal when it was read back.
    """

    def __init__(self, identifiers: int = IDENTIFIERS, window: int = LARGEST_WINDOW) -> None:
        self._identifiers = identifiers
        self._remembered = identifiers - window
        self._newest: list[Delivery | None] = [None] * (identifiers + 1)
        self.unanswered: dict[str, list[Delivery]] = {}
        self._late: dict[str, tuple[Delivery, int]] = {}
        self.end = 0

    def add(self, *deliveries: Delivery) -> None:
        """Remember each message as the newest of its identifier."""
        newest = self._newest
        for delivery in deliveries:
            newest[delivery.mid] = delivery

    def add_late(self, deliveries: Iterable[Delivery], now: int) -> None:
        """Remember messages whose acknowledgements are sent `now` (microseconds since 1970), and late."""
        for delivery in deliveries:
            self._late.pop(delivery.content, None)
            self._late[delivery.content] = delivery, now
        for content in list(islice(self._late, max(len(self._late) - self._identifiers, 0))):
            del self._late[content]

    def load(self, keys: Iterable[KnownKey], end: int = 0) -> None:
        """Add the messages that an earlier process published, from keys of the journal, newest first, up to `end`."""
        self.end = max(self.end, end)
        for key in keys:
            known = self._newest[key.mid]
            if known is None:
                held = frozenset((key.index,))
                self._newest[key.mid] = Delivery(key.mid, 1, 0, 0, key.content, acknowledged=True, held=held)
            elif known.held is not None and known.content == key.content:
                known.held |= {key.index}

    def load_late(self, keys: Iterable[KnownKey]) -> None:
        """Learn what an earlier process published and the journal took after it was read back."""
        keys = list(keys)
        for key in keys:
            known = self._newest[key.mid]
            if known is not None and known.held is not None and known.content != key.content:
                self._newest[key.mid] = None
        self.load(keys)

    def connection_lost(self, unacknowledged: Iterable[Delivery]) -> None:
        """The broker will send `unacknowledged` again. It may send the newest that were acknowledged again, too; older
        ones are forgotten.
        """
        for delivery in unacknowledged:
            repeats = self.unanswered.setdefault(delivery.content, [])
            if delivery not in repeats:
                repeats.append(delivery)
        self._late.clear()
        acknowledged = [each for each in self._newest if each is not None and each.acknowledged]
        acknowledged.sort(key=lambda each: each.received_at)
        for delivery in acknowledged[: max(len(acknowledged) - self._remembered, 0)]:
            self._newest[delivery.mid] = None

    def session_lost(self) -> bool:
        """Forget everything, as the broker did: its identifiers begin at 1. Return whether anything was known."""
        known = any(self._newest)
        self._newest = [None] * (self._identifiers + 1)
        self.unanswered.clear()
        return known

    def recall(self, mid: int, content: str, *, dup: bool, now: int) -> Delivery | None:
        """Return the delivery that a message read at `now` (microseconds since 1970) repeats, or None for one that
        never came before. Without DUP only what is unanswered can be repeated. The delivery has another `mid` if its
        acknowledgement crossed this redelivery.
        """
        known = self._newest[mid]
        if dup and known is not None and known.content == content:
            if self.unanswered:
                self._answered(known)
            return known
        if content in self.unanswered:
            return self._renumbered(mid, content)
        if dup and content in self._late:
            late, acknowledged_at = self._late.pop(content)
            return late if now - acknowledged_at < CROSSING * MICROS else None
        return None

    def _renumbered(self, mid: int, content: str) -> Delivery:
        """Give an unanswered message of this content the identifier under which the broker sends it now."""
        known = self.unanswered[content][0]
        self._answered(known)
        if self._newest[known.mid] is known:
            self._newest[known.mid] = None
        known.mid = mid
        self._newest[mid] = known
        return known

    def _answered(self, delivery: Delivery) -> None:
        """Note that a message has come again."""
        repeats = self.unanswered.get(delivery.content, [])
        if delivery in repeats:
            repeats.remove(delivery)
            if not repeats:
                del self.unanswered[delivery.content]
