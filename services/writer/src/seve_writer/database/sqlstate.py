"""Classifies PostgreSQL errors by SQLSTATE. Retries, halves and reports nothing.

Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from enum import Enum
from typing import Final


class Fault(Enum):
    """The cause of an error, which decides how the writer reacts."""

    DATABASE = "database"
    """Down, busy, full or shutting down: retry the same batch later."""
    CONFLICT = "conflict"
    """A key exists already: retry the same batch as an upsert."""
    ROW = "row"
    """The tables refuse a row of the batch: halve the batch."""
    SCHEMA = "schema"
    """A table, column or permission is missing, or this writer is wrong: not ready, logged as an error, no acks."""
    DECOMPRESSION = "decompression"
    """TimescaleDB's limit on decompression per statement: retry the same batch without that limit."""
    UNKNOWN = "unknown"
    """Anything else: retry a few times, then treat it as ROW."""


_BY_CODE: Final = {
    "23505": Fault.CONFLICT,
    "53400": Fault.DECOMPRESSION,
    "22P04": Fault.SCHEMA,  # bad_copy_file_format: our encoding does not fit the table
    "22P03": Fault.SCHEMA,  # invalid_binary_representation: as above
    "25006": Fault.DATABASE,  # read_only_sql_transaction: a standby, until it is promoted
    "25P03": Fault.DATABASE,  # idle_in_transaction_session_timeout
    "25P04": Fault.DATABASE,  # transaction_timeout
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
    """Return the fault. None stands for a connection that failed or broke."""
    if sqlstate is None:
        return Fault.DATABASE
    return _BY_CODE.get(sqlstate) or _BY_CLASS.get(sqlstate[:2], Fault.UNKNOWN)
