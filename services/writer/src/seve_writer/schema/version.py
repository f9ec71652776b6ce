"""Checks that this writer can use the database's schema. The newest migration's number is the version; a writer works
with its own version and with newer ones, since migrations only add (decision 0905). Changes nothing.
"""

from importlib.resources import files
from typing import Any, Final

from psycopg import AsyncConnection

from seve_writer.errors import SchemaError


def packaged() -> list[str]:
    """Return the names of the migrations packaged with this writer, in order."""
    folder = files("seve_writer.schema") / "migrations"
    return sorted(path.name.removesuffix(".sql") for path in folder.iterdir() if path.name.endswith(".sql"))


def number(name: str) -> int:
    """Return the version that a migration leads to: 1 for `0001.tables`."""
    return int(name.partition(".")[0])


EXPECTED: Final = number(packaged()[-1])

_VERSION: Final = "SELECT max(split_part(migration_id, '.', 1)::int) FROM schema_migrations"


async def verify(connection: AsyncConnection[Any]) -> None:
    """Raise SchemaError if the version is older than this writer's; psycopg.Error if it cannot be read."""
    row = await (await connection.execute(_VERSION)).fetchone()
    version = row[0] if row else None
    if version is None or version < EXPECTED:
        raise SchemaError(version, EXPECTED, "run `seve-writer setup`")
