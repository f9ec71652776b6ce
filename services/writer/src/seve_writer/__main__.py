"""`seve-writer` runs a writer, `seve-writer setup` prepares NATS and the database, and `seve-writer audit` checks
whether every message is accounted for.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence

from seve_runtime.errors import SettingsError, SeveError
from seve_runtime.nats.connection import NatsSettings, tls_options
from seve_runtime.service import check, load_or_exit, parser, report_faults, run, settings_help

from seve_writer.app import app
from seve_writer.audit.command import command as audit
from seve_writer.schema.setup import setup
from seve_writer.settings import AuditSettings, WriterSettings
from seve_writer.tap import command as tap

AUDIT = """Compare the journal with the ledger, and change nothing: every message that entered the journal is in the
database, or still waits in the journal, or is lost. Exit code 0: everything is accounted for. 1: a message is lost, or
counts do not add up, or NATS or the database does not answer. 2: settings that cannot be used."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(argv)
    if options.check:
        return check(WriterSettings, {NatsSettings: tls_options})
    if options.command == "audit":
        return _audit(options)
    if options.command == "tap":
        return _tap(options)
    settings = load_or_exit(WriterSettings)
    work = setup if options.command == "setup" else app
    return run("seve-writer", settings.service, lambda stop: work(settings, stop))


def _parser() -> argparse.ArgumentParser:
    whole = parser("seve-writer", "JetStream to PostgreSQL: every message stored once", WriterSettings)
    commands = whole.add_subparsers(dest="command", metavar="setup|audit|tap")
    commands.add_parser("setup", help="apply the topology of NATS and the database's migrations, then exit")
    auditing = commands.add_parser(
        "audit",
        help="check whether every message of the journal is accounted for",
        description=AUDIT,
        epilog=settings_help(AuditSettings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    auditing.add_argument(
        "--from",
        dest="since",
        type=_sequence,
        metavar="SEQUENCE",
        help="judge the current journal from this sequence on, and no earlier journal: for losses that are known",
    )
    auditing.add_argument("--json", action="store_true", help="print JSON for programs, with every span of sequences")
    tap.arguments(commands)
    return whole


def _tap(options: argparse.Namespace) -> int:
    settings = load_or_exit(AuditSettings)
    try:
        tap.run(options, settings, _say)
    except SettingsError as error:
        report_faults(error)
    except SeveError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _audit(options: argparse.Namespace) -> int:
    settings = load_or_exit(AuditSettings)
    try:
        return asyncio.run(audit(settings, since=options.since, as_json=options.json, say=_say))
    except SettingsError as error:
        report_faults(error)
    except SeveError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _say(text: str) -> None:
    """Print. A reader that went away (`seve-writer audit | head -1`) does not change the exit code."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what the interpreter still holds


def _sequence(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("give a sequence of the journal, 1 or greater")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
