"""Checks that the installed servers have the required versions, and that PostgreSQL's version fits the existing data.
Starts no server.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from seve_embedded.checks.finding import Finding
from seve_embedded.servers import nats, postgres

AREA: Final = "versions"
INSTALL: Final = "rm .venv/embedded .venv/dev; ./seve install"


def check(data: Path) -> list[Finding]:
    """Check the servers' programs and the database in the folder `data`. `./seve` keeps the Python packages current
    itself.
    """
    return [*_servers(), *_database(data)]


def _servers() -> Iterator[Finding]:
    for name, find in (("nats-server", nats.binary), ("postgres", lambda: postgres.binaries() / "postgres")):
        try:
            subprocess.run([str(find()), "--version"], check=True, capture_output=True, timeout=10)
        except (OSError, subprocess.SubprocessError) as error:
            yield Finding(AREA, f"{name} cannot be run: {error}", INSTALL)


def _database(data: Path) -> Iterator[Finding]:
    path = data / "PG_VERSION"
    if not path.exists():
        return
    written, runs = path.read_text(encoding="ascii").strip(), postgres.MAJOR
    if written != runs:
        what = f"the database in {data} is of PostgreSQL {written}, and {runs} is installed"
        yield Finding(AREA, what, f"take a backup where PostgreSQL {written} is, then ./seve restore it here")
