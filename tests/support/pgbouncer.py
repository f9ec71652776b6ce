"""PgBouncer in front of PostgreSQL, which pools transactions: the next one may run on another server connection."""

import os
import shutil
from pathlib import Path

from support.embedded import Server

CONFIG = """\
[databases]
* = host=127.0.0.1 port={target} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
server_round_robin = 1
{user}
"""


def program() -> str | None:
    """Return the path of PgBouncer; None if it is not installed."""
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")


class PgBouncer(Server):
    """A pool of two server connections, taken in turn, in front of port `target`."""

    def __init__(self, folder: Path, target: int) -> None:
        super().__init__(folder)
        self.target = target

    def command(self):
        path = self.folder / "pgbouncer.ini"
        user = "user = nobody" if os.geteuid() == 0 else ""
        path.write_text(CONFIG.format(target=self.target, port=self.port, user=user))
        return [program(), str(path)]
