"""Applies the numbered migrations of `migrations/` through yoyo, one process at a time. Never runs in a writer: `setup`
does, on a direct connection, with the credentials of the tables' owner.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg
from psycopg import Connection
from yoyo import get_backend, read_migrations  # type: ignore[import-untyped]

from seve_writer.errors import MigrationError

TABLE: Final = "schema_migrations"
"""Where yoyo notes what was applied."""

_LOCK: Final = 0x5E7E_0001
"""Key of the advisory lock that lets one `setup` run at a time."""


def migrate(url: str) -> list[str]:
    """Apply what is missing; gives the names. Waits for another `setup`. Raises psycopg.Error, MigrationError."""
    with alone(url), as_file(files("seve_writer.schema") / "migrations") as folder:
        os.environ.setdefault("LOGNAME", "seve")  # yoyo notes who migrates, and a container's user may have no name
        with get_backend(_for_yoyo(url), TABLE) as backend:
            backend.break_lock()  # yoyo's own lock outlives a killed process; the advisory lock, held here, does not
            return _apply(backend, str(folder))


def _apply(backend: Any, folder: str) -> list[str]:
    migrations = read_migrations(folder)
    names = [migration.id for migration in backend.to_apply(migrations)]
    backend.apply_migrations(backend.to_apply(migrations))
    missing = [migration.id for migration in backend.to_apply(migrations)]
    if missing:
        raise MigrationError(missing)
    return names


@contextmanager
def alone(url: str) -> Iterator[Connection[Any]]:
    """A connection that holds the lock; waits for whoever has it. A direct one: the lock is the session's."""
    with psycopg.connect(url, autocommit=True, application_name="seve-writer setup") as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        yield connection


def _for_yoyo(url: str) -> str:
    return urlsplit(url)._replace(scheme="postgresql+psycopg").geturl()
