"""Checks that this service knows the database's schema. Changes nothing."""

from typing import Final

from seve_history.database.pool import Connection
from seve_history.errors import SchemaError

EXPECTED: Final = 4
"""The newest migration whose tables this service reads; migrations stay compatible with the version before."""

_VERSION: Final = "SELECT max(split_part(migration_id, '.', 1)::int) FROM schema_migrations"


async def verify(connection: Connection) -> None:
    """Raise SchemaError if the version is older than EXPECTED; psycopg.Error if it cannot be read."""
    row = await (await connection.execute(_VERSION)).fetchone()
    found = row[0] if row else None
    if found is None or found < EXPECTED:
        raise SchemaError(found, EXPECTED)
