"""Counts the rows of a run by SQL, over a connection or through a command that takes SQL. Reads only.

The command is for a database without a reachable port: it gets the statement on its standard input and answers like
`psql -qAt`, one line per row and `|` between columns.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

import psycopg
from seve_runtime.errors import describe

from seve_fleet.simulate.account import Key

DEVICE_TABLES: Final = ("device_system_status", "device_hardware", "sensor_status", "sensor_config", "device_presence")


class Unreachable(Exception):
    """The database did not answer this time; it may answer later."""


class Database(Protocol):
    """Runs SQL."""

    async def rows(self, sql: str) -> list[Sequence[object]]:
        """Return the rows of a statement. Raises Unreachable."""


class UrlDatabase:
    """Connects by URL, once per statement, so that a restart of the server costs one answer."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def rows(self, sql: str) -> list[Sequence[object]]:
        """Return the rows of a statement. Raises Unreachable."""
        try:
            async with await psycopg.AsyncConnection.connect(
                self._url, autocommit=True, connect_timeout=5
            ) as connection:
                return list(await (await connection.execute(sql.encode())).fetchall())
        except psycopg.OperationalError as error:
            raise Unreachable(describe(error)) from error


class CommandDatabase:
    """Runs a shell command of the operator's choice per statement."""

    def __init__(self, command: str) -> None:
        self._command = command

    async def rows(self, sql: str) -> list[Sequence[object]]:
        """Return the rows of a statement. Raises Unreachable."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_shell(self._command, stdin=pipe, stdout=pipe, stderr=pipe)
        out, err = await process.communicate(sql.encode())
        if process.returncode:
            raise Unreachable(err.decode(errors="replace").strip() or f"exit code {process.returncode}")
        return [line.split("|") for line in out.decode().splitlines()]


class RunRows:
    """The rows of a run's modules."""

    def __init__(self, database: Database, modules: Sequence[str]) -> None:
        self._database = database
        self._where = "module_id = ANY (ARRAY[" + ",".join(f"'{_plain(name)}'" for name in modules) + "])"

    async def samples(self) -> int:
        """Return how many samples of the run are stored."""
        (row,) = await self._database.rows(f"SELECT count(*) FROM measurements WHERE {self._where}")  # noqa: S608  (plain names)
        return int(str(row[0]))

    async def keys(self) -> list[Key]:
        """Return every stored sample of the run."""
        rows = await self._database.rows(
            "SELECT module_id, hardware_id, sensor_type, (extract(epoch FROM time) * 1000000)::bigint"  # noqa: S608
            f" FROM measurements WHERE {self._where}"
        )
        return [
            ("/".join(str(level) for level in (module, hardware, sensor) if level), int(str(time)))
            for module, hardware, sensor, time in rows
        ]

    async def device_rows(self) -> dict[str, int]:
        """Return the number of the run's rows in each table about devices."""
        parts = [f"SELECT '{table}', count(*) FROM {table} WHERE {self._where}" for table in DEVICE_TABLES]  # noqa: S608
        return {str(table): int(str(count)) for table, count in await self._database.rows(" UNION ALL ".join(parts))}


def _plain(name: str) -> str:
    if not name.replace("-", "").isalnum():
        raise ValueError(f"not the name of a simulated module: {name!r}")
    return name
