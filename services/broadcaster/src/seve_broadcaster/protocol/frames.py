"""The bytes that go to clients: WebSocket text frames, made once and written to many.

A server's frame is neither masked nor, without compression, different for any two clients (RFC 6455, 5.2): serialised
once, it is written to each transport as it is. Everything a client reads is made here; nothing is sent from here.
"""

from collections.abc import Iterable, Sequence
from struct import Struct
from typing import Any, Final

import msgspec
from seve_schema.position import Position, Token

WHOLE: Final = 0xFFFF
"""The place in a token that stands behind every envelope of its message."""

UNSEEN: Final = 0xFFFE
"""The place in a token of one who has everything up to its message, but has not been shown all of the snapshot."""

_TEXT: Final = 0x81
_HEADER_16: Final = Struct(">BBH")
_HEADER_64: Final = Struct(">BBQ")
_MIDDLE: Final = b'","data":'
_encode: Final = msgspec.json.Encoder().encode


def text(payload: bytes) -> bytes:
    """A whole WebSocket message of UTF-8 text as one final, unmasked frame."""
    return _header(len(payload)) + payload


def _header(size: int) -> bytes:
    if size < 126:
        return bytes((_TEXT, size))
    return _HEADER_16.pack(_TEXT, 126, size) if size < 65536 else _HEADER_64.pack(_TEXT, 127, size)


def end_of(position: Position) -> Token:
    """The token of one who has everything up to and including a journal position."""
    return Token(position, WHOLE)


def snapshot_at(position: Position) -> Token:
    """The token of one who is being shown the present as it was at a position."""
    return Token(position, UNSEEN)


def messages(position: Position, places: Sequence[int], parts: Sequence[bytes]) -> bytes:
    """Make a frame of each envelope of a message that stands at one of `places`, from the bytes that arrived.

    The last envelope of the message has the token of one who has the whole message: nothing more of it is to come.
    """
    prefix = b'{"event":"mqtt-message","seq":"%x-%x-' % position
    size, last = len(prefix) + len(_MIDDLE) + 1, len(parts) - 1
    pieces: list[bytes] = []
    for place in places:
        seq, part = b"%x" % (place if place != last else WHOLE), parts[place]
        pieces += (_header(size + len(seq) + len(part)), prefix, seq, _MIDDLE, part, b"}")
    return b"".join(pieces)


def batch(position: Position, places: Sequence[int], parts: Sequence[bytes]) -> bytes:
    """Make one frame of the envelopes of a message that stand at `places`; its token is that of the last."""
    last = places[-1]
    seq = str(Token(position, last if last != len(parts) - 1 else WHOLE)).encode()
    data = b",".join([parts[place] for place in places])
    return text(b"".join((b'{"event":"mqtt-batch","seq":"', seq, b'","data":[', data, b"]}")))


def state(seq: str, data: Any) -> bytes:
    """The newest envelope of a series. `seq` is where the client stands, which a state does not move."""
    head = b'{"event":"mqtt-message","seq":"'
    return text(b"".join((head, seq.encode(), b'","snapshot":true,"data":', data, b"}")))


def states(seq: str, data: Iterable[Any]) -> bytes:
    """The newest envelopes of several series of a module, for a client that asked for batches."""
    head = b'{"event":"mqtt-batch","seq":"'
    return text(b"".join((head, seq.encode(), b'","snapshot":true,"data":[', b",".join(data), b"]}")))


def subscribed(modules: Iterable[str], seq: Token) -> bytes:
    """What was asked for is granted; what follows stands at or behind `seq`."""
    return _event("subscribed", modules=sorted(modules), seq=str(seq))


def gap(start: Token, end: Token) -> bytes:
    """What lies behind `start`, up to and including `end`, is lost to this client."""
    return _event("gap", **{"from": str(start)}, to=str(end))


def skipped(start: Token, end: Token, count: int) -> bytes:
    """Of `count` messages behind `start`, up to and including `end`, only the newest of each series follow."""
    return _event("skipped", **{"from": str(start)}, to=str(end), count=count)


def live(seq: Token) -> bytes:
    """The snapshot or replay is over; what follows is happening now."""
    return _event("live", seq=str(seq))


def silence(module: str, silent: bool) -> bytes:
    """A module has said nothing for too long, or speaks again."""
    return _event("silence", module=module, silent=silent)


def closing(retry_after_ms: int) -> bytes:
    """The server goes away; come back after so many milliseconds."""
    return _event("closing", retryAfterMs=retry_after_ms)


def error(code: str, explanation: str) -> bytes:
    """Something the client sent was refused; the connection stays."""
    return _event("error", code=code, message=explanation)


def _event(event: str, **fields: object) -> bytes:
    return text(_encode({"event": event, **fields}))
