"""paho's client with a faster receiving path: one `recv` of up to 256 KiB, whose PUBLISH packets `framing` decodes, and
acknowledgements that are written for many messages at once. paho does everything else (CONNECT, SUBSCRIBE, keep-alive).
Decides nothing about messages.

PUBREC acknowledges a message of QoS 2 as PUBACK does one of QoS 1: when the journal holds it. PUBREL is answered at
once, because the journal holds its message by then. paho would send PUBREC at receipt, and a kill would then lose the
message.

paho 2.2 reads each packet with three `recv` calls and spends an object with a lock, a topic matcher and formatted debug
logging on each PUBLISH: most of the 21 µs per message of a bare receive loop. This module uses private names of paho,
so its version is bounded and the tests drive real brokers.
"""

import socket
import ssl
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from paho.mqtt.client import Client
from paho.mqtt.enums import MQTTErrorCode, MQTTProtocolVersion

from seve_ingest.mqtt.framing import Arrived, Framing, Packet, ProtocolFault
from seve_ingest.publish.deliveries import Delivery

READ_BYTES: Final = 256 * 1024
_PUBACK: Final = 0x40020000
_PUBREC: Final = 0x50020000
_PUBREL: Final = 0x62
_PUBCOMP: Final = 0x70020000


class FastClient(Client):
    """A paho client driven by an event loop: `loop_read` fills `arrived`, which the caller empties. `emptied` says
    whether the last read left nothing in the socket.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.arrived: list[Arrived] = []
        self.emptied = True
        self._prepared: socket.socket | None = None
        self._framing = Framing(version5=False)

    def open(self, connection: socket.socket) -> MQTTErrorCode:
        """Send CONNECT over `connection`, which is already open: connecting by paho would block the event loop."""
        self._prepared = connection
        self._framing = Framing(version5=self.protocol == MQTTProtocolVersion.MQTTv5)
        return self.reconnect()

    def acknowledge(self, messages: Sequence[Delivery]) -> None:
        """Send PUBACK or PUBREC for each message of QoS 1 or 2, in order."""
        self._send([(_PUBACK if each.qos == 1 else _PUBREC) | each.mid for each in messages])

    def close(self) -> None:
        """Drop the connection without DISCONNECT, like a lost network."""
        self._loop_rc_handle(MQTTErrorCode.MQTT_ERR_CONN_LOST)

    def stay_alive(self) -> None:
        """Ping without expecting an answer; replaces `loop_misc` while reading is paused."""
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
        """Read all packets that one `recv` completes, instead of one packet."""
        try:
            data = self._receive()
        except BlockingIOError:
            self.emptied = True
            return MQTTErrorCode.MQTT_ERR_AGAIN
        except OSError:
            return MQTTErrorCode.MQTT_ERR_CONN_LOST
        if not data:
            return MQTTErrorCode.MQTT_ERR_CONN_LOST
        self.emptied = len(data) < READ_BYTES
        self._last_bytes_received = time.monotonic()
        try:
            others = self._framing.receive(data, self.arrived)
        except ProtocolFault:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        for packet in others:
            if code := self._handle(packet):
                return code
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _receive(self) -> bytes:
        """Receive what the socket has, up to READ_BYTES. TLS gives a record at a time, and the socket does not say what
        is decrypted already. Raises OSError, and BlockingIOError if there is nothing.
        """
        data: bytes = self._sock_recv(READ_BYTES)
        if isinstance(self._sock, ssl.SSLSocket):
            with suppress(BlockingIOError):
                while data and len(data) < READ_BYTES and (more := self._sock_recv(READ_BYTES - len(data))):
                    data += more
        return data

    def _handle(self, packet: Packet) -> MQTTErrorCode:
        """Answer PUBREL; let paho handle any other packet as if it had read it."""
        if packet.head == _PUBREL and len(packet.body) >= 2:
            self._send([_PUBCOMP | int.from_bytes(packet.body[:2], "big")])
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        incoming = self._in_packet
        incoming["command"], incoming["packet"] = packet.head, bytearray(packet.body)
        incoming["remaining_length"], incoming["pos"] = len(packet.body), 0
        code = self._packet_handle()
        self._in_packet["command"] = 0
        return code

    def _send(self, packets: Sequence[int]) -> None:
        """Write packets of four bytes at once; queue the part that the socket does not accept."""
        data = struct.pack(f">{len(packets)}I", *packets)
        sent = 0
        if not self._out_packet:
            with suppress(OSError):  # the socket is full, or it is lost, which the next read will show
                sent = self._sock_send(data)
        if sent < len(data):
            self._packet_queue(data[0], data[sent:], packets[-1] & 0xFFFF, 1)
