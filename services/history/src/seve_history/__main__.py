"""The command `seve-history`: the service, and `seve-history export`."""

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial

from seve_runtime.clock import micros
from seve_runtime.errors import SeveError
from seve_runtime.moments import EARLIEST, moment
from seve_runtime.nats.connection import NatsSettings, tls_options
from seve_runtime.service import check, load_or_exit, parser, run, settings_help

from seve_history.app import app
from seve_history.export import Progress, Wanted, export, line, output
from seve_history.settings import ExportSettings, HistorySettings

SUMMARY = "Answer history queries from PostgreSQL, over NATS. Reads only."
EXPORT = """Write samples as CSV: time, module, sensor, hardware, value. All rows are those of one moment, however long
the export takes. Exit code 0: everything was written. 1: it was not, and the file was not created. 2: settings that
cannot be used."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the whole command; return the exit code."""
    options = _parser().parse_args(argv)
    if options.check:
        return check(HistorySettings, {NatsSettings: tls_options})
    if options.command == "export":
        return _export(options)
    settings = load_or_exit(HistorySettings)
    return run("seve-history", settings.service, lambda stop: app(settings, stop))


def _parser() -> argparse.ArgumentParser:
    whole = parser("seve-history", SUMMARY, HistorySettings)
    exporting = whole.add_subparsers(dest="command", metavar="export").add_parser(
        "export",
        help="write samples as CSV",
        description=EXPORT,
        epilog=settings_help(ExportSettings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    when = partial(_moment, micros())
    exporting.add_argument("--module", action="append", default=[], help="only this module; can be repeated [all]")
    exporting.add_argument("--from", dest="start", type=when, default=EARLIEST, metavar="TIME", help="first time [all]")
    exporting.add_argument("--to", dest="end", type=when, default=micros(), metavar="TIME", help="end, excluded [now]")
    exporting.add_argument("--output", default="-", metavar="FILE", help="file; NAME.csv.gz is compressed [stdout]")
    return whole


def _export(options: argparse.Namespace) -> int:
    settings = load_or_exit(ExportSettings)
    if options.end <= options.start:
        print("error: --from is not before --to", file=sys.stderr)
        return 2
    try:
        with output(options.output) as file:
            done = export(settings.database_url, Wanted(options.module, options.start, options.end), file, _tell)
        end = "\n" if sys.stderr.isatty() else ""
        print(f"{end}{done.rows:,} rows, {done.size / 1e6:,.1f} MB, {done.seconds:,.1f} s", file=sys.stderr)
    except BrokenPipeError:  # the reader of the pipe has gone
        _deafen()
        return 1
    except SeveError as error:
        print(f"error: {error}", file=sys.stderr)
        _deafen()
        return 1
    except KeyboardInterrupt:
        _deafen()
        return 130
    return 0


def _deafen() -> None:
    """Discard what the interpreter will flush to standard output at exit: nobody reads it, or it cannot be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell(progress: Progress) -> None:
    """Show progress on a terminal only: it would fill a log."""
    if sys.stderr.isatty():
        print(f"\r{line(progress)}\033[K", end="", file=sys.stderr, flush=True)


def _moment(now: int, text: str) -> int:
    try:
        return moment(text, now)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from error


if __name__ == "__main__":
    sys.exit(main())
