"""Encodes rows for PostgreSQL's binary COPY. The names of a series repeat, so their encoding is cached.

Format: https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-BINARY
"""

from collections.abc import Iterable
from functools import lru_cache
from struct import Struct
from typing import Final

from seve_writer.database.transaction import Row

COPY: Final = (
    "COPY measurements (module_id, sensor_type, hardware_id, time, value, position) FROM STDIN (FORMAT binary)"
)
"""The statement that takes the data of `encode`."""

_HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_TRAILER: Final = b"\xff\xff"
_EPOCH: Final = 946_684_800_000_000
"""2000-01-01 in microseconds since 1970: PostgreSQL's epoch."""
_tail: Final = Struct("!iqidiq")
_null: Final = Struct("!iqiiq")
_length: Final = Struct("!i")


@lru_cache(maxsize=65536)
def _series(module_id: str, sensor_type: str, hardware_id: str) -> bytes:
    fields = (text.encode() for text in (module_id, sensor_type, hardware_id))
    return b"\x00\x06" + b"".join(_length.pack(len(field)) + field for field in fields)


def encode(rows: Iterable[Row], base: int) -> bytes:
    """Return all data of a COPY of `rows`, in their order. `base` is the position before their journal's first."""
    series, tail, null = _series, _tail.pack, _null.pack
    parts = [_HEADER]
    for module_id, sensor_type, hardware_id, time, value, sequence in rows:
        parts.append(series(module_id, sensor_type, hardware_id))
        if value is None:
            parts.append(null(8, time - _EPOCH, -1, 8, base + sequence))
        else:
            parts.append(tail(8, time - _EPOCH, 8, value, 8, base + sequence))
    parts.append(_TRAILER)
    return b"".join(parts)
