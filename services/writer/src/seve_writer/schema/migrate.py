"""Applies the numbered migrations of `migrations/`, one process at a time, each in one transaction with its mark: a
migration is applied and recorded, or neither. Refuses to fill a gap below a migration that was applied already.

Runs in `setup` only, never in a writer, on a direct connection with the credentials of the tables' owner. A migration
holds no statement that PostgreSQL refuses within a transaction, such as CREATE INDEX CONCURRENTLY.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from typing import Any, Final

import psycopg
from psycopg import Connection
from seve_runtime.errors import describe

from seve_writer.errors import MigrationError
from seve_writer.schema.version import number, packaged

_LOCK: Final = 0x5E7E_0001
"""Key of the advisory lock that lets one `setup` run at a time. A killed process loses it with its connection."""

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    migration_hash varchar(64) PRIMARY KEY,
    migration_id varchar(255),
    applied_at_utc timestamp
)
"""
"""The table of yoyo-migrations, which earlier versions used: their databases need no conversion."""

_MARK: Final = """
INSERT INTO schema_migrations (migration_hash, migration_id, applied_at_utc)
VALUES (encode(sha256(convert_to(%(name)s, 'UTF8')), 'hex'), %(name)s, now() AT TIME ZONE 'UTC')
"""


def migrate(url: str) -> list[str]:
    """Apply the migrations that the database lacks, and return their names. Waits while another `setup` runs.

    Raises MigrationError, or psycopg.OperationalError if the database does not answer.
    """
    folder = files("seve_writer.schema") / "migrations"
    with alone(url) as connection:
        return apply(connection, {name: (folder / f"{name}.sql").read_bytes() for name in packaged()})


def apply(connection: Connection[Any], migrations: Mapping[str, bytes]) -> list[str]:
    """Apply those of `migrations` (name to SQL, ordered by number) that are not recorded yet, and return their names.

    `connection` is in autocommit mode. Raises as `migrate`; what was applied before the error stays.
    """
    connection.execute(_TABLE)
    recorded = {name for (name,) in connection.execute("SELECT migration_id FROM schema_migrations")}
    newest = max(recorded, key=number, default=None)
    missing = [name for name in migrations if name not in recorded]
    for name in missing:
        if newest is not None and number(name) < number(newest):
            raise MigrationError(name, f"{newest} was applied without it; restore a backup of one version")
        _apply(connection, name, migrations[name])
    return missing


def _apply(connection: Connection[Any], name: str, statements: bytes) -> None:
    try:
        with connection.transaction():
            connection.execute(statements)
            connection.execute(_MARK, {"name": name})
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        raise MigrationError(name, describe(error)) from error


@contextmanager
def alone(url: str) -> Iterator[Connection[Any]]:
    """Connect and take the lock, waiting for the process that holds it. The lock belongs to the session, so this needs
    a direct connection, not one through PgBouncer.
    """
    with psycopg.connect(url, autocommit=True, application_name="seve-writer setup") as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        yield connection
