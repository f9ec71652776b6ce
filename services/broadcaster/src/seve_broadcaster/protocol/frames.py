"""Builds the frames that clients receive: WebSocket text frames, serialised once and written to many. Sends nothing.

A server's frame is not masked and, without compression, has the same bytes for every client (RFC 6455, 5.2).
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from struct import Struct
from typing import Any, Final

import msgspec
from seve_schema.codec import MAX_ENVELOPES
from seve_schema.position import WHOLE, Position, Token

UNSEEN: Final = 0xFFFE
"""The place in the token of a client that has not yet received its whole snapshot, the one as of the token's
position.
"""

_TEXT: Final = 0x81
_HEADER_16: Final = Struct(">BBH")
_HEADER_64: Final = Struct(">BBQ")
_encode: Final = msgspec.json.Encoder().encode


def text(payload: bytes) -> bytes:
    """Return a WebSocket message of UTF-8 text as one final, unmasked frame."""
    return _header(len(payload)) + payload


@lru_cache(maxsize=4096)
def _header(size: int) -> bytes:
    if size < 126:
        return bytes((_TEXT, size))
    return _HEADER_16.pack(_TEXT, 126, size) if size < 65536 else _HEADER_64.pack(_TEXT, 127, size)


def snapshot_at(position: Position) -> Token:
    """Return the token of a client that is being sent the snapshot as of a position."""
    return Token(position, UNSEEN)


def messages(position: Position, places: Sequence[int], parts: Sequence[bytes]) -> bytes:
    """Return a frame for each envelope of a message at one of `places`, built from the bytes that arrived.

    The message's last envelope gets the token of the whole message, because nothing more of it follows.
    """
    prefix = b'{"event":"mqtt-message","seq":"%x-%x-' % position
    size, last = len(prefix) + 1, len(parts) - 1
    pieces: list[bytes] = []
    for place in places:
        middle, part = _middle(place if place != last else WHOLE), parts[place]
        pieces += (_header(size + len(middle) + len(part)), prefix, middle, part, b"}")
    return b"".join(pieces)


@lru_cache(maxsize=MAX_ENVELOPES)
def _middle(place: int) -> bytes:
    return b'%x","data":' % place


def batch(position: Position, places: Sequence[int], parts: Sequence[bytes]) -> bytes:
    """Return one frame with the envelopes of a message at `places`; its token is that of the last."""
    last = places[-1]
    seq = str(Token(position, last if last != len(parts) - 1 else WHOLE)).encode()
    data = b",".join([parts[place] for place in places])
    return text(b"".join((b'{"event":"mqtt-batch","seq":"', seq, b'","data":[', data, b"]}")))


def state(seq: str, data: Any) -> bytes:
    """Return the frame of the newest envelope of a series. `seq` is the client's position; a snapshot does not
    move it.
    """
    head = b'{"event":"mqtt-message","seq":"'
    return text(b"".join((head, seq.encode(), b'","snapshot":true,"data":', data, b"}")))


def states(seq: str, data: Iterable[Any]) -> bytes:
    """Return one frame with the newest envelopes of several series of a module, for a client that asked for batches."""
    head = b'{"event":"mqtt-batch","seq":"'
    return text(b"".join((head, seq.encode(), b'","snapshot":true,"data":[', b",".join(data), b"]}")))


def subscribed(modules: Iterable[str], seq: Token) -> bytes:
    """Return the answer to a granted subscription. The frames that follow are at or behind `seq`."""
    return _event("subscribed", modules=sorted(modules), seq=str(seq))


def gap(start: Token, end: Token) -> bytes:
    """Return the frame for messages that this client will not get: behind `start`, up to and including `end`."""
    return _event("gap", **{"from": str(start)}, to=str(end))


def skipped(start: Token, end: Token, count: int) -> bytes:
    """Return the frame for `count` conflated messages behind `start`, up to and including `end`: only the newest of
    each series follow.
    """
    return _event("skipped", **{"from": str(start)}, to=str(end), count=count)


def live(seq: Token) -> bytes:
    """Return the frame that ends a snapshot or replay; live messages follow."""
    return _event("live", seq=str(seq))


def silence(module: str, silent: bool) -> bytes:
    """Return the frame for a module that fell silent, or that sends again."""
    return _event("silence", module=module, silent=silent)


def closing(retry_after_ms: int) -> bytes:
    """Return the frame that announces a stop; the client should reconnect after `retry_after_ms`."""
    return _event("closing", retryAfterMs=retry_after_ms)


def error(code: str, explanation: str) -> bytes:
    """Return the frame for a refused request; the connection stays open."""
    return _event("error", code=code, message=explanation)


def _event(event: str, **fields: object) -> bytes:
    return text(_encode({"event": event, **fields}))
