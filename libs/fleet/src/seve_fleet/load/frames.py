"""The part of RFC 6455 that a client under load needs. Parses a server's frames from bytes; validates nothing."""

import re
from typing import Final, NamedTuple

TEXT: Final = 0x1
CLOSE: Final = 0x8
PING: Final = 0x9
NUMBER: Final = re.compile(rb'"value":(\d+)')
TOKEN: Final = re.compile(rb'\{"event":"[a-z-]+","seq":"([^"]+)"')
END_OF_HEADERS: Final = b"\r\n\r\n"


class Frame(NamedTuple):
    """One complete frame."""

    opcode: int
    payload: bytes


def request(host: str, path: str) -> bytes:
    """Return the opening handshake."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def pong(payload: bytes) -> bytes:
    """Return the answer to a ping, masked with zeros."""
    return bytes((0x8A, 0x80 | len(payload), 0, 0, 0, 0)) + payload


class Reader:
    """Turns received bytes into complete frames; skips the answer to the handshake."""

    def __init__(self) -> None:
        self._rest = b""
        self._open = False

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that `data` completes. Raises ConnectionError if the handshake was refused."""
        data = self._rest + data
        at = 0
        if not self._open:
            end = data.find(END_OF_HEADERS)
            if end < 0:
                self._rest = data
                return []
            if not data.startswith(b"HTTP/1.1 101"):
                raise ConnectionError(data.split(b"\r\n", 1)[0].decode(errors="replace"))
            self._open, at = True, end + len(END_OF_HEADERS)
        frames: list[Frame] = []
        while parsed := _frame(data, at):
            frame, at = parsed
            frames.append(frame)
        self._rest = data[at:]
        return frames


def _frame(data: bytes, at: int) -> tuple[Frame, int] | None:
    """Return the frame at an offset and the offset behind it, or None if the frame is incomplete."""
    left = len(data) - at
    if left < 2:
        return None
    size, begin = data[at + 1], at + 2
    if size > 125:
        begin += 2 if size == 126 else 8
        if len(data) < begin:
            return None
        size = int.from_bytes(data[at + 2 : begin], "big")
    end = begin + size
    return (Frame(data[at] & 0x0F, data[begin:end]), end) if end <= len(data) else None
