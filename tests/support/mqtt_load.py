"""MQTT load at little cost: PUBLISH packets are built in advance, and PUBACKs are only counted.

For benchmarks and fault runs, in which the load itself must not be measured. Speaks 3.1.1 without TLS.
"""

import socket
import struct
from collections.abc import Iterable, Iterator

from paho.mqtt import publish

PUBACK = 0x40


def connect_packet(client_id: str, *, clean: bool = True) -> bytes:
    """Return CONNECT of MQTT 3.1.1 without credentials and keep-alive."""
    name = client_id.encode()
    body = b"\x00\x04MQTT\x04" + (b"\x02" if clean else b"\x00") + b"\x00\x00" + struct.pack("!H", len(name)) + name
    return b"\x10" + _length(len(body)) + body


def publish_packet(topic: str, payload: bytes, mid: int | None = None, *, retain: bool = False) -> bytes:
    """Return PUBLISH at QoS 1 with packet identifier `mid`, or at QoS 0 without one."""
    name = topic.encode()
    body = struct.pack("!H", len(name)) + name + (b"" if mid is None else struct.pack("!H", mid)) + payload
    return bytes([0x30 | (0 if mid is None else 2) | retain]) + _length(len(body)) + body


class Load:
    """One connection that publishes; at most `window` messages wait for their PUBACK."""

    def __init__(self, port: int, client_id: str, *, window: int = 1000, clean: bool = True) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.sendall(connect_packet(client_id, clean=clean))
        answer = self._socket.recv(4)
        assert answer[:2] == b"\x20\x02", answer
        assert answer[3] == 0, answer
        self._window = window
        self._rest = b""
        self._mid = 0
        self.sent = 0
        self.acknowledged = 0

    def subscribe(self, topic: str) -> None:
        """Subscribe at QoS 1, for a session that collects messages while nobody reads it."""
        name = topic.encode()
        body = b"\x00\x01" + struct.pack("!H", len(name)) + name + b"\x01"
        self._socket.sendall(b"\x82" + _length(len(body)) + body)
        answer = self._socket.recv(5)
        assert answer == b"\x90\x03\x00\x01\x01", answer

    def leave(self) -> None:
        """Disconnect; a session that is not clean stays."""
        self._socket.sendall(b"\xe0\x00")
        self._socket.close()

    def publish(self, messages: Iterable[tuple[str, bytes]]) -> None:
        """Publish at QoS 1; return when at most `window` messages are unacknowledged."""
        for batch in _batches(messages, 100):
            self._socket.sendall(b"".join(publish_packet(topic, payload, self._next()) for topic, payload in batch))
            self.sent += len(batch)
            while self.sent - self.acknowledged > self._window:
                self._receive()

    def finish(self) -> None:
        """Wait for every PUBACK and disconnect."""
        while self.sent > self.acknowledged:
            self._receive()
        self.leave()

    def _next(self) -> int:
        self._mid = self._mid % 65535 + 1
        return self._mid

    def _receive(self) -> None:
        data = self._rest + self._socket.recv(65536)
        assert data, "the broker closed the connection"
        whole = len(data) // 4 * 4
        assert all(byte == PUBACK for byte in data[:whole:4]), "something else than PUBACK"
        self.acknowledged += whole // 4
        self._rest = data[whole:]


def send(broker, *messages, **options):
    """Publish with paho, one connection for all."""
    batch = [{"topic": topic, "payload": payload, "qos": 1, **options} for topic, payload, *_ in messages]
    publish.multiple(batch, hostname="127.0.0.1", port=broker.mqtt_port)


def _batches(messages: Iterable[tuple[str, bytes]], size: int) -> Iterator[list[tuple[str, bytes]]]:
    batch = []
    for message in messages:
        batch.append(message)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _length(value: int) -> bytes:
    out = bytearray()
    while True:
        value, byte = divmod(value, 128)
        out.append(byte | (0x80 if value else 0))
        if not value:
            return bytes(out)
