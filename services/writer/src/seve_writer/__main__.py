"""`seve-writer` runs a writer, `seve-writer setup` prepares NATS and the database, and `seve-writer audit` checks
whether every message is accounted for.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping, Sequence

from seve_runtime.errors import SettingsError, SeveError
from seve_runtime.nats.connection import NatsSettings, tls_options
from seve_runtime.service import check, load_or_exit, parser, report_faults, run, settings_help
from seve_runtime.terminal import visible

from seve_writer.app import app
from seve_writer.audit.command import command as audit
from seve_writer.forget import forget
from seve_writer.schema.setup import setup
from seve_writer.settings import AuditSettings, WriterSettings
from seve_writer.tap import command as tap

AUDIT = """Compare the journal with the ledger, and change nothing: every message that entered the journal is in the
database, or still waits in the journal, or is lost. Exit code 0: everything is accounted for. 1: a message is lost, or
counts do not add up, or NATS or the database does not answer. 2: settings that cannot be used."""


FORGET = """Remove a module: its rows in every table, its newest values, and what broadcasters hold of it. A device that
still sends appears again. The journal and the dead letters keep the module's messages until they expire. `./seve
forget` also clears what the broker retains of it. With TimescaleDB, hours older than RETENTION stay in
measurements_hourly.
"""
REMOVED = """Removed. The journal keeps the module's messages until newer ones take their place: a client that resumes
from an earlier position still gets some."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(argv)
    if options.check:
        return check(WriterSettings, {NatsSettings: tls_options})
    if options.command == "audit":
        return _audit(options)
    if options.command == "tap":
        return _tap(options)
    if options.command == "forget":
        return _forget(options)
    settings = load_or_exit(WriterSettings)
    work = setup if options.command == "setup" else app
    return run("seve-writer", settings.service, lambda stop: work(settings, stop))


def _parser() -> argparse.ArgumentParser:
    whole = parser("seve-writer", "JetStream to PostgreSQL: every message stored once", WriterSettings)
    commands = whole.add_subparsers(dest="command", metavar="setup|audit|tap|forget")
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
        help="audit only the current journal, from this sequence on: leaves out losses that are already known",
    )
    auditing.add_argument("--json", action="store_true", help="print JSON for programs, with every span of sequences")
    tap.arguments(commands)
    forgetting = commands.add_parser("forget", help="remove a module everywhere, after asking", description=FORGET)
    which = forgetting.add_mutually_exclusive_group(required=True)
    which.add_argument("module", nargs="?", help="its name, as in the table measurements")
    which.add_argument("--simulated", action="store_true", help="every module that seve-simulate named")
    forgetting.add_argument("--yes", action="store_true", help="do not ask")
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


def _forget(options: argparse.Namespace) -> int:
    settings = load_or_exit(AuditSettings)

    def confirm(modules: Sequence[str], rows: Mapping[str, int]) -> bool:
        for table, count in rows.items():
            _say(f"  {table:22} {count:>12,} rows")
        which = visible(options.module) if options.module else f"{len(modules)} simulated modules"
        question = f"Remove all of {which}, for ever? [y/N] "
        return options.yes or (sys.stdin.isatty() and input(question).strip().lower() in ("y", "yes"))

    def show_removed(table: str, rows: int) -> None:
        if rows:
            _say(f"  {table:22} {rows:>12,} removed")

    try:
        done = asyncio.run(forget(settings, options.module, confirm, show_removed))
    except SeveError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    _say(REMOVED if done else "Nothing removed.")
    return 0 if done else 1


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
    """Print `text`. A pipe whose reader has gone (`seve-writer audit | head -1`) does not change the exit code."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes stdout when it exits


def _sequence(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("give a sequence of the journal, 1 or greater")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
