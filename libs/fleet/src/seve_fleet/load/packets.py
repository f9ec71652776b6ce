"""The few packets of MQTT 3.1.1 that a load generator needs, as bytes. Publishes at QoS 0 and 1; reads PUBACKs only.

Not a client: `simulate.mqtt` uses paho for simulated devices. A load does not: paho takes 69 µs of CPU to publish a
message and receive its PUBACK, these functions 2.4 µs, and the measured pipeline shares the cores.
"""

from typing import Final

CONNACK: Final = 0x20
PUBACK: Final = 0x40
DISCONNECT: Final = b"\xe0\x00"


class ProtocolError(Exception):
    """The broker sent a packet that a load generator does not expect; `packet` is its first byte."""

    def __init__(self, packet: int) -> None:
        super().__init__(f"unexpected packet of type 0x{packet:02x}")
        self.packet = packet


def connect(client_id: str, *, username: str | None = None, password: str | None = None) -> bytes:
    """Return CONNECT with a clean session and without keep-alive."""
    flags = 0x02 | (0x80 if username else 0) | (0x40 if password else 0)
    texts = [client_id, *(text for text in (username, password) if text)]
    body = _text("MQTT") + bytes((4, flags, 0, 0)) + b"".join(map(_text, texts))
    return bytes((0x10,)) + _length(len(body)) + body


def publish(topic: bytes, payload: bytes, packet_id: int, *, retain: bool = False, dup: bool = False) -> bytes:
    """Return PUBLISH at QoS 1, or at QoS 0 if `packet_id` is 0; `dup` marks a repetition."""
    identifier = packet_id.to_bytes(2, "big") if packet_id else b""
    size = 2 + len(topic) + len(identifier) + len(payload)
    head = bytes(((0x32 if packet_id else 0x30) | retain | dup << 3,))
    return b"".join((head, _length(size), len(topic).to_bytes(2, "big"), topic, identifier, payload))


class BrokerAnswers:
    """Parses the broker's answers as they arrive: CONNACK and PUBACK."""

    def __init__(self) -> None:
        self._rest = b""
        self.refused: int | None = None

    def feed(self, data: bytes) -> list[int]:
        """Return the packet identifiers acknowledged in `data`. CONNACK sets `refused` to its code (0: accepted).

        Raises ProtocolError for anything else.
        """
        data = self._rest + data
        whole = len(data) - len(data) % 4  # CONNACK and PUBACK are four bytes each
        self._rest = data[whole:]
        acknowledged = []
        for at in range(0, whole, 4):
            kind = data[at]
            if kind == PUBACK:
                acknowledged.append(data[at + 2] << 8 | data[at + 3])
            elif kind == CONNACK:
                self.refused = data[at + 3]
            else:
                raise ProtocolError(kind)
        return acknowledged


def _text(text: str) -> bytes:
    encoded = text.encode()
    return len(encoded).to_bytes(2, "big") + encoded


def _length(size: int) -> bytes:
    """Return a length in MQTT's variable form: seven bits per byte, the lowest first."""
    encoded = bytearray()
    while size > 127:
        encoded.append(size & 0x7F | 0x80)
        size >>= 7
    encoded.append(size)
    return bytes(encoded)
