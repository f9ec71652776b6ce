"""Lays out `measurements` as a hypertable if TimescaleDB is available, else as a plain table; grants roles their
rights. Runs in every `setup`, after the migrations, since the extension and the roles may be added later and the
retention is a setting. Never runs in a writer.
"""

from importlib.resources import files
from typing import Any, Literal

import psycopg
import structlog
from psycopg import Connection
from seve_runtime.errors import describe

from seve_writer.schema.migrate import alone

log = structlog.get_logger()

Layout = Literal["plain", "timescaledb"]


def lay_out(url: str, retention: float) -> list[str]:
    """Apply the best available layout and return its name. `retention` is in seconds; 0 keeps everything."""
    with alone(url) as connection:
        layout = _possible(connection)
        text = (files("seve_writer.schema") / "layouts" / f"{layout}.sql").read_text(encoding="utf-8")
        interval = f"{retention:f} seconds" if retention else ""
        with connection.transaction():
            connection.execute("SELECT set_config('seve.retention', %s, true)", (interval,))
            connection.execute(text.encode())
            connection.execute((files("seve_writer.schema") / "rights.sql").read_bytes())
        return [layout]


def _possible(connection: Connection[Any]) -> Layout:
    if not _extended(connection):
        return "plain"
    row = connection.execute("SELECT current_setting('timescaledb.license', true)").fetchone()
    if row != ("timescale",):
        log.warning("this TimescaleDB has no compression and no continuous aggregates: plain tables", license=row)
        return "plain"
    return "timescaledb"


def _extended(connection: Connection[Any]) -> bool:
    """Whether the database has TimescaleDB. Creates the extension if the server offers it and this role may do so."""
    if connection.execute("SELECT FROM pg_extension WHERE extname = 'timescaledb'").fetchone() is not None:
        return True
    offered = connection.execute(
        "SELECT FROM pg_available_extensions WHERE name = 'timescaledb'"
        " AND current_setting('shared_preload_libraries') LIKE '%timescaledb%'"
    ).fetchone()
    if offered is None:
        return False
    try:
        connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    except psycopg.errors.InsufficientPrivilege as error:
        log.warning("TimescaleDB is offered but this role may not create it: plain tables", error=describe(error))
        return False
    return True
