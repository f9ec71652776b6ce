"""The words of `seve-stack`. Pure: reads arguments, runs nothing."""

import argparse
from collections.abc import Sequence
from typing import Final

from seve_runtime.service import settings_help

from seve_embedded.settings import StackSettings

PASSING_ON: Final = ("audit", "psql", "run")
"""Commands whose arguments, options included, belong to the program they start."""


def parse(given: Sequence[str]) -> argparse.Namespace:
    """The command and its arguments; `passed_on` has what belongs to another program. Exits as argparse does."""
    passed_on = list(given[1:]) if given and given[0] in PASSING_ON else []
    if passed_on in (["-h"], ["--help"]):
        passed_on = []
    return parser().parse_args(given[: len(given) - len(passed_on)], argparse.Namespace(passed_on=passed_on))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="seve-stack",
        description="The whole stack without Docker, of the project in this folder.",
        epilog=settings_help(StackSettings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start everything and wait until it is ready")
    commands.add_parser("down", help="stop everything; data stay")
    commands.add_parser("status", help="what runs, what waits, what is stored, what went wrong")
    logs = commands.add_parser("logs", help="follow the logs")
    logs.add_argument("program", nargs="*", help="ingest, writer, broadcaster, nats, postgres; all unless named")
    logs.add_argument("--lines", type=int, default=10, help="how many to begin with [10]")
    logs.add_argument("--once", action="store_true", help="show them and end")
    logs.add_argument("--raw", action="store_true", help="as they are written")
    cleaning = commands.add_parser("clean", help="remove all data, after asking")
    cleaning.add_argument("--yes", action="store_true", help="do not ask")
    scaling = commands.add_parser("scale", help="set how many writers share the work")
    scaling.add_argument("writers", metavar="WRITERS=N", type=_writers)
    auditing = "whether every message is accounted for; what follows goes to `seve-writer audit`"
    commands.add_parser("audit", help=auditing)
    commands.add_parser("psql", help="talk to the database; what follows goes to psql")
    publishing = commands.add_parser("publish", help="publish one message at QoS 1")
    publishing.add_argument("topic")
    publishing.add_argument("payload")
    watching = commands.add_parser("watch", help="show what a screen would get")
    watching.add_argument("module", nargs="*", help="all unless named")
    commands.add_parser("run", help="run the command that follows; it finds the stack in its environment")
    return top


def _writers(text: str) -> int:
    number = text.removeprefix("WRITERS=").removeprefix("writers=")
    if not number.isdigit() or not 1 <= int(number) <= 64:
        raise argparse.ArgumentTypeError("expected WRITERS=N, N from 1 to 64")
    return int(number)
