"""`seve-writer` runs a writer; `seve-writer setup` prepares NATS and the database."""

import sys
from collections.abc import Sequence

from seve_runtime.service import load_or_exit, parser, run

from seve_writer.app import app
from seve_writer.settings import WriterSettings
from seve_writer.setup import setup


def main(argv: Sequence[str] | None = None) -> int:
    """The whole command; gives the exit code."""
    arguments = parser("seve-writer", "JetStream to PostgreSQL: every message stored once", WriterSettings)
    commands = arguments.add_subparsers(dest="command", metavar="setup")
    commands.add_parser("setup", help="apply the topology of NATS and the database's migrations, then exit")
    command = arguments.parse_args(argv).command
    settings = load_or_exit(WriterSettings)
    work = setup if command == "setup" else app
    return run("seve-writer", settings.service, lambda stop: work(settings, stop))


if __name__ == "__main__":
    sys.exit(main())
