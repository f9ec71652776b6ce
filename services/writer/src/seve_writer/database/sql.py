"""Builds the SQL of one transaction, as text for the simple protocol: several statements travel in one message, and
nothing is prepared, which a transaction-pooling PgBouncer requires. Text that devices sent is passed as one quoted JSON
literal. Also encodes the data of the binary COPY, and caches the encoded names of each series, because they repeat.
Executes nothing (`store` does).

Format of COPY: https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-BINARY
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import groupby
from struct import Struct
from typing import Any, Final

from seve_schema.codec import encode
from seve_schema.times import format_time

from seve_writer.database.device_state import Patch
from seve_writer.database.transaction import LedgerCounts, Row, Transaction

Quote = Callable[[str], str]
"""Text as a literal of SQL, with its quotes."""

KEYS: Final = {
    "device_hardware": ("module_id",),
    "device_logs": ("module_id", "position"),
    "device_presence": ("module_id",),
    "device_system_status": ("module_id",),
    "sensor_config": ("module_id", "sensor_type"),
    "sensor_status": ("module_id", "sensor_type"),
}

WITHOUT_DECOMPRESSION_LIMIT: Final = "SET LOCAL timescaledb.max_tuples_decompressed_per_dml_transaction = 0"

CHIPS: Final = "SELECT module_id, chip_id FROM device_system_status WHERE module_id = ANY (%s) AND chip_id IS NOT NULL"

COPY: Final = (
    "COPY measurements (module_id, sensor_type, hardware_id, time, value, position) FROM STDIN (FORMAT binary)"
)
"""The statement that takes the data of `copy_data`."""

UPSERT: Final = """
WITH put AS (
    INSERT INTO measurements AS t (module_id, sensor_type, hardware_id, time, value, position)
    SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::float8[], %s::bigint[])
    ON CONFLICT (module_id, sensor_type, hardware_id, time)
    DO UPDATE SET value = excluded.value, position = excluded.position
    WHERE t.position IS NULL OR t.position <= excluded.position
    RETURNING t.xmax = 0 AS fresh
) SELECT count(*) FILTER (WHERE fresh), count(*) FILTER (WHERE NOT fresh) FROM put
"""

NUMBER_OF: Final = """
WITH known AS (
    SELECT number FROM journals WHERE created = %(created)s::timestamptz
), added AS (
    INSERT INTO journals (created) SELECT %(created)s::timestamptz WHERE NOT EXISTS (SELECT FROM known)
    ON CONFLICT DO NOTHING RETURNING number
) SELECT number FROM known UNION ALL SELECT number FROM added
"""
"""Returns the number of a journal, assigned in its first transaction; no row while another writer assigns it."""

_HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_TRAILER: Final = b"\xff\xff"
_EPOCH: Final = 946_684_800_000_000
"""2000-01-01 in microseconds since 1970: PostgreSQL's epoch."""
_begin: Final = Struct("!hi")
_tail: Final = Struct("!iqidiq")
_null: Final = Struct("!iqiiq")
_length: Final = Struct("!i")


def states(transaction: Transaction, quote: Quote) -> list[str]:
    """Return the statements that apply a transaction's patches, ordered by table, and by key within a statement.

    Patches of one table that set different columns are in different statements, so two writers may deadlock on their
    rows: PostgreSQL then aborts one of the two transactions, and its writer retries it.

    Each statement returns, for every row it changed, the position that now guards the row and whether the row is new.
    """
    return [
        _apply(list(group), quote)
        for patches in transaction.rounds
        for _, group in groupby(sorted(patches, key=_shape), key=_shape)
    ]


def _shape(patch: Patch) -> tuple[str, str, bool, list[str]]:
    return patch.table, patch.position, patch.retained, sorted(patch.columns)


def _apply(patches: list[Patch], quote: Quote) -> str:
    table, position, retained, columns = _shape(patches[0])
    keys = KEYS[table]
    names = ", ".join(dict.fromkeys([*keys, *columns, position, "updated_at"]))
    sets = ", ".join(f"{name} = excluded.{name}" for name in [*columns, position, "updated_at"])
    newer = f"t.{position} IS NULL" + ("" if retained else f" OR t.{position} < excluded.{position}")
    records = quote(encode([_record(patch, keys) for patch in patches]).decode())
    return (  # names are constants of this module and of `device_state`; libpq quoted `records`
        f"INSERT INTO {table} AS t ({names})"  # noqa: S608
        f" SELECT {names} FROM jsonb_populate_recordset(NULL::{table}, {records}) ORDER BY {', '.join(keys)}"
        f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {sets} WHERE {newer}"
        f" RETURNING t.{position}, t.xmax = 0"
    )


def _record(patch: Patch, keys: Iterable[str]) -> dict[str, Any]:
    return {
        **dict(zip(keys, patch.key, strict=True)),
        **patch.columns,
        patch.position: patch.place,
        "updated_at": patch.updated_at,
    }


def ledger(transaction: Transaction, counts: LedgerCounts) -> str:
    """Return the statement that inserts the transaction's ledger row."""
    sequences = ",".join(f"[{first},{last}]" for first, last in transaction.sequences)
    earliest = "NULL" if transaction.earliest is None else f"'{format_time(transaction.earliest)}'"
    return (
        "INSERT INTO ledger (journal, sequences, received, inserted, updated, replaced, dead, ignored, earliest) VALUES"  # noqa: S608
        f" ('{format_time(transaction.journal)}', '{{{sequences}}}', {counts.received}, {counts.inserted},"
        f" {counts.updated}, {counts.replaced}, {counts.dead}, {counts.ignored}, {earliest})"
    )


@lru_cache(maxsize=4096)
def _sensor(sensor_type: str, hardware_id: str) -> bytes:
    """Return the two fields that many modules share. A cache of whole series would be too small for a large fleet."""
    return b"".join(_length.pack(len(data)) + data for data in (sensor_type.encode(), hardware_id.encode()))


def copy_data(rows: Iterable[Row], base: int) -> bytes:
    """Return all data of a COPY of `rows`, in their order. `base` is the position before their journal's first."""
    begin, sensor, tail, null = _begin.pack, _sensor, _tail.pack, _null.pack
    parts = [_HEADER]
    for module_id, sensor_type, hardware_id, time, value, sequence in rows:
        module = module_id.encode()
        parts += begin(6, len(module)), module, sensor(sensor_type, hardware_id)
        if value is None:
            parts.append(null(8, time - _EPOCH, -1, 8, base + sequence))
        else:
            parts.append(tail(8, time - _EPOCH, 8, value, 8, base + sequence))
    parts.append(_TRAILER)
    return b"".join(parts)
