"""`seve-history export`: writes samples as CSV, streamed from the database by COPY. Holds a few blocks in memory,
however many rows there are, and changes nothing in the database.

The rows are those of one snapshot, ordered by module, sensor, hardware and time.
"""

import gzip
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import psycopg
from psycopg import Connection, IsolationLevel, sql
from seve_runtime.errors import SeveError, describe
from seve_runtime.settings import Secret
from seve_schema.times import format_time

TELL_SECONDS: Final = 1.0
_MINUTES: Final = "SET LOCAL statement_timeout = 0"
_COPY: Final = "COPY ({}) TO STDOUT (FORMAT csv, HEADER)"
_ROWS: Final = (
    "SELECT to_char(time AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS time, module_id AS module,"
    " sensor_type AS sensor, hardware_id AS hardware, value FROM measurements"
    " WHERE time >= {start} AND time < {end}{only} ORDER BY module_id, sensor_type, hardware_id, measurements.time"
)


class ExportFailed(SeveError):
    """The export failed, at once or part of the way."""


class Wanted(NamedTuple):
    """The modules (all if none is named) and the range [`start`, `end`) in microseconds since 1970."""

    modules: Sequence[str]
    start: int
    end: int


class Progress(NamedTuple):
    """The progress of an export; `expected` is the database's estimate of the rows."""

    rows: int
    size: int
    expected: int
    seconds: float


def export(url: Secret, wanted: Wanted, file: IO[bytes], tell: Callable[[Progress], None]) -> Progress:
    """Write the rows to `file`, and call `tell` every second. Return the final progress. Raises ExportFailed."""
    try:
        with psycopg.connect(url.reveal(), application_name="seve-history export", connect_timeout=10) as connection:
            connection.isolation_level = IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            return _stream(connection, wanted, file, tell)
    except psycopg.Error as error:
        raise ExportFailed(f"the database cannot be read (DATABASE_URL): {describe(error)}") from error


def _stream(connection: Connection[Any], wanted: Wanted, file: IO[bytes], tell: Callable[[Progress], None]) -> Progress:
    connection.execute(_MINUTES)
    rows = _query(wanted)
    expected = _estimate(connection, rows)
    began = told = time.monotonic()
    count = size = 0
    with connection.cursor().copy(sql.SQL(_COPY).format(rows)) as copy:
        for block in copy:
            file.write(block)
            count += 1  # the server sends one row per block
            size += len(block)
            if (now := time.monotonic()) - told >= TELL_SECONDS:
                told = now
                tell(Progress(count - 1, size, expected, now - began))
    return Progress(count - 1, size, expected, time.monotonic() - began)


def _query(wanted: Wanted) -> sql.Composed:
    only: sql.Composable = sql.SQL("")
    if wanted.modules:
        only = sql.SQL(" AND module_id IN ({})").format(sql.SQL(", ").join(map(sql.Literal, wanted.modules)))
    return sql.SQL(_ROWS).format(
        start=sql.Literal(format_time(wanted.start)), end=sql.Literal(format_time(wanted.end)), only=only
    )


def _estimate(connection: Connection[Any], rows: sql.Composed) -> int:
    found = connection.execute(sql.SQL("EXPLAIN (FORMAT JSON) {}").format(rows)).fetchone()
    assert found is not None  # noqa: S101  (EXPLAIN gives a row)
    return int(found[0][0]["Plan"]["Plan Rows"])


@contextmanager
def output(path: str) -> Iterator[IO[bytes]]:
    """Open the output: `-` is standard output, a name that ends in `.gz` is compressed. A file gets its name only once
    it is complete, and no file is overwritten. Raises ExportFailed, and BrokenPipeError if the reader has gone.
    """
    if path == "-":
        try:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise ExportFailed(f"standard output cannot be written: {describe(error)}") from error
        return
    target = Path(path)
    if target.exists():
        raise ExportFailed(f"{target} exists: name another file")
    part = target.with_name(f"{target.name}.part")
    try:
        with gzip.open(part, "wb", compresslevel=5) if target.suffix == ".gz" else part.open("wb") as file:
            yield file  # type: ignore[misc]  # gzip's file is one
        part.rename(target)
    except OSError as error:
        raise ExportFailed(f"{target} cannot be written: {describe(error)}") from error
    finally:
        part.unlink(missing_ok=True)


def line(progress: Progress) -> str:
    """Return one line of progress, with a percentage if the estimate allows one."""
    share = f"{min(99, 100 * progress.rows // progress.expected)} %, " if progress.expected > progress.rows else ""
    rate = progress.rows / progress.seconds if progress.seconds else 0
    return f"{share}{progress.rows:,} rows, {progress.size / 1e6:,.1f} MB, {rate:,.0f} rows per second"
