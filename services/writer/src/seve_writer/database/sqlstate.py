"""Whose fault an error of PostgreSQL is, by its SQLSTATE. Decides; retries, halves and reports nothing.

Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from enum import Enum
from typing import Final


class Fault(Enum):
    """What a writer does about an error."""

    DATABASE = "database"
    """Away, busy, full or shutting down: the same batch again, later."""
    CONFLICT = "conflict"
    """A key that is there already: the same batch as an upsert."""
    ROW = "row"
    """Something in the batch that the tables refuse: halve it."""
    SCHEMA = "schema"
    """A table, column or permission that is missing, or a fault of ours: not ready, loud, nothing acknowledged."""
    DECOMPRESSION = "decompression"
    """TimescaleDB's limit on decompressing in one statement: the same batch without that limit."""
    UNKNOWN = "unknown"
    """Anything else: a few times again, then as a row's."""


_BY_CODE: Final = {
    "23505": Fault.CONFLICT,
    "53400": Fault.DECOMPRESSION,
    "22P04": Fault.SCHEMA,  # bad_copy_file_format: our encoding does not fit the table
    "22P03": Fault.SCHEMA,  # invalid_binary_representation: as above
    "25006": Fault.DATABASE,  # read_only_sql_transaction: a standby, until it is promoted
    "25P03": Fault.DATABASE,  # idle_in_transaction_session_timeout
    "25P04": Fault.DATABASE,  # transaction_timeout
    "0A000": Fault.UNKNOWN,
}

_BY_CLASS: Final = {
    "08": Fault.DATABASE,  # connection
    "22": Fault.ROW,  # data
    "23": Fault.ROW,  # integrity
    "28": Fault.SCHEMA,  # authorization
    "3D": Fault.SCHEMA,  # no such database
    "3F": Fault.SCHEMA,  # no such schema
    "40": Fault.DATABASE,  # serialization, deadlock
    "42": Fault.SCHEMA,  # undefined, not permitted, wrong type
    "44": Fault.ROW,  # WITH CHECK OPTION
    "53": Fault.DATABASE,  # disk full, out of memory, too many connections
    "54": Fault.ROW,  # too long, too complex
    "55": Fault.DATABASE,  # lock not available, object in use
    "57": Fault.DATABASE,  # cancelled, shutdown, starting up
    "58": Fault.DATABASE,  # I/O error, no space for a file
}


def classify(sqlstate: str | None) -> Fault:
    """Whose fault it is; None stands for a connection that could not be made or broke."""
    if sqlstate is None:
        return Fault.DATABASE
    return _BY_CODE.get(sqlstate) or _BY_CLASS.get(sqlstate[:2], Fault.UNKNOWN)
