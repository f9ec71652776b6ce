"""An MQTT session that only acknowledges what it is sent: the limit of the broker, with nothing behind it."""

import socket
import struct
import threading
import time

from support.mqtt_load import Load

PUBACK = b"\x40\x02"


class Receiver:
    """Subscribes to everything at QoS 1 and notes number and arrival of each message, on a thread of its own."""

    def __init__(self, port: int, first: int) -> None:
        self._load = Load(port, "receiver")
        self._load.subscribe("#")
        self._socket: socket.socket = self._load._socket
        self._first = first
        self.arrivals: list[tuple[int, int]] = []
        self._thread = threading.Thread(target=self._run, name="receiver")
        self._thread.start()

    def wait(self, count: int, patience: float = 10) -> None:
        """Until so many came, or nothing did for a while."""
        seen, newest = 0, time.monotonic()
        while len(self.arrivals) < count and time.monotonic() - newest < patience:
            if len(self.arrivals) != seen:
                seen, newest = len(self.arrivals), time.monotonic()
            time.sleep(0.02)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        rest = b""
        while data := self._socket.recv(1 << 18):
            now, answers = time.time_ns() // 1000, []
            rest += data
            at = 0
            while found := publication(rest, at):
                number, packet_id, at = found
                self.arrivals.append((number - self._first, now))
                answers.append(PUBACK + packet_id)
            rest = rest[at:]
            if answers:
                self._socket.sendall(b"".join(answers))


def publication(data: bytes, at: int) -> tuple[int, bytes, int] | None:
    """Payload (a number), packet identifier and end of the PUBLISH at that place; None where it is not whole."""
    size, begin = 0, at + 1
    while True:
        if begin >= len(data):
            return None
        size |= (data[begin] & 0x7F) << 7 * (begin - at - 1)
        begin += 1
        if data[begin - 1] < 0x80:
            break
    end = begin + size
    if len(data) < end:
        return None
    topic = begin + 2 + struct.unpack_from("!H", data, begin)[0]
    return int(data[topic + 2 : end]), data[topic : topic + 2], end
