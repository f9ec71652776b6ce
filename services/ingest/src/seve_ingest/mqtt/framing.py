"""Splits received bytes into MQTT packets. PUBLISH packets are decoded here; others are returned undecoded, for paho.
Pure: knows no socket.

Holds at most one incomplete packet. A packet larger than MAX_PACKET is not held: its payload is digested as it arrives,
and only its beginning is kept, so that a device's message of 256 MB costs ingest no memory.
"""

from hashlib import blake2b
from typing import Final, NamedTuple

MAX_PAYLOAD: Final = 256 * 1024
"""Longest payload that is normalised."""

MAX_PACKET: Final = MAX_PAYLOAD + 128 * 1024
"""Longest packet that is kept whole: the longest payload, a topic of 64 KiB, and properties."""

DUP: Final = 0x08
QOS: Final = 0x06
RETAIN: Final = 0x01
_PUBLISH: Final = 0x30
FIRST_QOS0: Final = _PUBLISH
FIRST_QOS1: Final = _PUBLISH | 0x02
"""The first byte of a PUBLISH that is sent for the first time and not retained."""


class ProtocolFault(Exception):
    """The received bytes are not MQTT. The connection has to be closed."""


Arrived = tuple[bytes, bytes, int, int]
"""An Arrival as a plain tuple, which takes a sixth of the time to create."""


class Arrival(NamedTuple):
    """One message as it arrived: `head` is the first byte of its packet, with the flags DUP, QOS and RETAIN."""

    topic: bytes
    payload: bytes
    mid: int
    head: int


class Cut(bytes):
    """The beginning of a payload that is too long to be held, one byte longer than the longest usable payload. `size`
    and `digest` (BLAKE2b of 16 bytes, hex) are those of the whole payload.
    """

    size: int
    digest: str


class Packet(NamedTuple):
    """A packet other than PUBLISH: its first byte and its content."""

    head: int
    body: bytes


class Framing:
    """The packets of one connection; `version5` says whether PUBLISH carries properties."""

    def __init__(self, *, version5: bool) -> None:
        self._version5 = version5
        self._parts: list[bytes] = []
        self._held = 0
        self._wanted = 2
        self._long: _Long | None = None

    def receive(self, data: bytes, arrived: list[Arrived]) -> list[Packet]:
        """Append the messages that `data` completes to `arrived`; return the other packets. Raises ProtocolFault."""
        if self._long:
            data = self._long.receive(data)
            if not self._long.finished:
                return []
            arrived.append(self._long.arrival())
            self._long = None
        self._parts.append(data)
        self._held += len(data)
        if self._held < self._wanted:
            return []
        if len(self._parts) > 1:
            data = b"".join(self._parts)
        others: list[Packet] = []
        rest = self._take(data, arrived, others)
        self._parts = [rest] if rest else []
        self._held = len(rest)
        return others

    def _take(self, data: bytes, arrived: list[Arrived], others: list[Packet]) -> bytes:
        """Take every whole packet; return the rest. Runs for every message, so it calls few functions: it reads a first
        PUBLISH of QoS 1 without properties in place, and leaves all others, and invalid ones, to `_publish`.
        """
        position, end, frequent = 0, len(data), None if self._version5 else FIRST_QOS1
        self._wanted = 2
        while end - position >= 2:
            head, length, start = data[position], data[position + 1], position + 2
            if length & 0x80:
                length, start = _length(data, position + 1)
                if start == 0:
                    break
            stop = start + length
            if stop > end:
                self._not_whole(data, position, start, length)
                break
            if (
                head == frequent
                and length >= 4
                and (at := start + 2 + (data[start] << 8 | data[start + 1])) + 2 <= stop
                and (mid := data[at] << 8 | data[at + 1])
            ):
                arrived.append((data[start + 2 : at], data[at + 2 : stop], mid, head))
            elif head & 0xF0 == _PUBLISH:
                arrived.append(_publish(data[start:stop], head, version5=self._version5))
            else:
                others.append(Packet(head, data[start:stop]))
            position = stop
        if self._long:
            self._long.receive(data[position:])
            return b""
        return data[position:] if position else data

    def _not_whole(self, data: bytes, position: int, start: int, length: int) -> None:
        if length > MAX_PACKET and data[position] & 0xF0 == _PUBLISH:
            self._long = _Long(data[position], start - position, length, version5=self._version5)
        else:
            self._wanted = start + length - position


def _publish(packet: bytes, head: int, *, version5: bool) -> Arrival:
    """Decode the content of a PUBLISH. Raises ProtocolFault."""
    size = len(packet)
    if size < 2 or head & QOS == QOS:
        raise ProtocolFault("PUBLISH without a topic, or of QoS 3")
    topic_end = body = 2 + (packet[0] << 8 | packet[1])
    mid = 0
    if head & QOS:
        body += 2
        mid = packet[body - 2] << 8 | packet[body - 1] if body <= size else 0
    if version5 and body < size:
        properties, at = _length(packet, body)
        body = at + properties if at else size + 1
    if body > size or (head & QOS and not mid):
        raise ProtocolFault("PUBLISH shorter than its parts")
    return Arrival(packet[2:topic_end], packet[body:], mid, head)


class _Long:
    """A PUBLISH that is too long to be held, while it arrives."""

    def __init__(self, head: int, prefix: int, length: int, *, version5: bool) -> None:
        self._head = head
        self._prefix = prefix
        self._whole = prefix + length
        self._seen = 0
        self._version5 = version5
        self._begin = bytearray()
        self._payload_at: int | None = None
        self._hash = blake2b(digest_size=16)

    @property
    def finished(self) -> bool:
        return self._seen == self._whole

    def receive(self, data: bytes) -> bytes:
        """Consume the part of `data` that belongs to this packet; return the rest."""
        mine, rest = data[: self._whole - self._seen], data[self._whole - self._seen :]
        self._seen += len(mine)
        if self._payload_at is not None:
            self._hash.update(mine)
            return rest
        self._begin += mine
        if len(self._begin) > MAX_PACKET or self.finished:
            self._payload_at = self._parse()
            self._hash.update(self._begin[self._payload_at :])
        return rest

    def arrival(self) -> Arrival:
        """Return the message with its payload cut."""
        at = self._payload_at or 0
        cut = Cut(self._begin[at : at + MAX_PAYLOAD + 1])
        cut.size = self._whole - at
        cut.digest = self._hash.hexdigest()
        begin, start = self._begin, self._prefix
        topic_end = start + 2 + (begin[start] << 8 | begin[start + 1])
        mid = begin[topic_end] << 8 | begin[topic_end + 1] if self._head & QOS else 0
        return Arrival(bytes(begin[start + 2 : topic_end]), cut, mid, self._head)

    def _parse(self) -> int:
        begin, start = bytes(self._begin), self._prefix
        at = start + 2 + (begin[start] << 8 | begin[start + 1]) + (2 if self._head & QOS else 0)
        if self._version5:
            properties, at = _length(begin, at)
            at += properties
        if at > len(begin):
            raise ProtocolFault("PUBLISH with more properties than ingest holds")
        return at


def _length(data: bytes, position: int) -> tuple[int, int]:
    """Return a variable byte integer and the index behind it; index 0 if it is incomplete. Raises ProtocolFault."""
    value = 0
    for place in range(4):
        if position + place >= len(data):
            return 0, 0
        byte = data[position + place]
        value |= (byte & 0x7F) << (7 * place)
        if not byte & 0x80:
            return value, position + place + 1
    raise ProtocolFault("a length of more than four bytes")
