"""Checks that this writer can use the database's schema. The newest migration's number is the version; a writer works
with its own version and with the next one, since migrations stay compatible with the version before. Changes nothing.
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
    """Raise SchemaError unless the version is this writer's or the next; psycopg.Error if it cannot be read."""
    row = await (await connection.execute(_VERSION)).fetchone()
    judge(row[0] if row else None)


def judge(version: int | None) -> None:
    """Raise SchemaError unless a writer that expects `EXPECTED` can use `version`."""
    if version is None or version < EXPECTED:
        raise SchemaError(version, EXPECTED, "run `seve-writer setup`")
    if version > EXPECTED + 1:
        raise SchemaError(version, EXPECTED, "this writer is too old for the database; install the newer one")
