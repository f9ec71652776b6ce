"""paho's client with a faster way in: one `recv` of up to 256 KiB, PUBLISH taken from it by `packets`, and the
acknowledgements of many messages written as one. Everything else (CONNECT, SUBSCRIBE, keep-alive, QoS 2) is paho's own.

paho 2.2 reads each packet with three `recv` calls and spends on each PUBLISH an object with a lock, a topic matcher and
formatted debug logging: most of the 21 µs a message that a bare receive loop costs. This leans on five private names
(`_packet_read`, `_packet_handle`, `_in_packet`, `_packet_queue`, `_create_socket`), so the tests drive real brokers.
Decides nothing about messages.
"""

import socket
import ssl
import time
from typing import Any, Final

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import MQTTErrorCode, MQTTProtocolVersion

from seve_ingest.mqtt.framing import Arrival, Framing, Packet, ProtocolFault

READ_BYTES: Final = 256 * 1024
_PUBACK: Final = 0x40020000
_QOS2_HEAD: Final = 0x34


class FastClient(Client):
    """A paho client to be driven by an event loop: `loop_read` fills `arrived`, which the caller takes and empties."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.arrived: list[Arrival] = []
        self._prepared: socket.socket | None = None
        self._framing = Framing(version5=False)
        self.on_message = self._paho_message

    def open(self, connection: socket.socket) -> MQTTErrorCode:
        """Send CONNECT over `connection`, which was made off the event loop; paho's own connecting would block it."""
        self._prepared = connection
        self._framing = Framing(version5=self.protocol == MQTTProtocolVersion.MQTTv5)
        return self.reconnect()

    def acknowledge(self, mids: list[int]) -> None:
        """PUBACK for each of `mids`, in their order, at once as far as the socket takes them."""
        packets = b"".join([(_PUBACK | mid).to_bytes(4, "big") for mid in mids])
        self._packet_queue(_PUBACK >> 24, packets, mids[-1], 1)
        self.loop_write()

    def pending(self) -> bool:
        """Whether TLS has decrypted more than was read: the socket itself will not say so."""
        return isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0

    def close(self) -> None:
        """Drop the connection without a word, as if the network had."""
        self._loop_rc_handle(MQTTErrorCode.MQTT_ERR_CONN_LOST)

    def stay_alive(self) -> None:
        """Instead of `loop_misc` while nothing is read on purpose: ping, and do not expect the answer."""
        self._last_bytes_received = time.monotonic()
        self._ping_t = 0
        self.loop_misc()
        self._ping_t = 0

    def _create_socket(self) -> socket.socket:
        prepared, self._prepared = self._prepared, None
        if prepared is None:
            raise ConnectionError("no connection was prepared")
        return prepared

    def _packet_read(self) -> MQTTErrorCode:
        """Instead of one packet: all that one `recv` completes."""
        try:
            data = self._sock_recv(READ_BYTES)
        except BlockingIOError:
            return MQTTErrorCode.MQTT_ERR_AGAIN
        except OSError:
            return MQTTErrorCode.MQTT_ERR_CONN_LOST
        if not data:
            return MQTTErrorCode.MQTT_ERR_CONN_LOST
        self._last_bytes_received = time.monotonic()
        try:
            others = self._framing.receive(data, self.arrived)
        except ProtocolFault:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        for packet in others:
            if code := self._handle(packet):
                return code
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _handle(self, packet: Packet) -> MQTTErrorCode:
        """Let paho handle one packet as if it had read it."""
        incoming = self._in_packet
        incoming["command"], incoming["packet"] = packet.head, bytearray(packet.body)
        incoming["remaining_length"], incoming["pos"] = len(packet.body), 0
        code = self._packet_handle()
        self._in_packet["command"] = 0
        return code

    def _paho_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        """A message of QoS 2, complete: only a subscription made by something else can still bring one."""
        head = _QOS2_HEAD | message.dup << 3 | message.retain
        self.arrived.append(Arrival(message._topic, bytes(message.payload), message.mid, head))  # noqa: SLF001
