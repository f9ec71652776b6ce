"""The command line of `./seve`, the same in both modes. Pure: parses arguments, runs nothing; standard library only.

Commands in PASSING_ON start another program, which parses what follows. Their options are declared here too, for
`--help` and for shell completion; a test compares them with the programs'.
"""

import argparse
from collections.abc import Sequence
from typing import Final

PASSING_ON: Final = ("simulate", "audit", "explain", "deadletter", "tap", "export", "psql", "run")
EPILOG: Final = """\
`./seve COMMAND --help` shows the options of a command; `./seve completion bash` prints what completes them.

MODE=docker or MODE=embedded chooses the mode; unset, `up` takes Docker where an engine answers and has the images,
and every other command takes the mode that `up` took. Settings are environment variables or lines of .env:
docs/settings.md and .env.example list them."""

GATEWAY: Final = "further topics it may publish to, such as zigbee2mqtt/#: those of the modules behind a gateway"


def parse(given: Sequence[str]) -> argparse.Namespace:
    """Return the command and its arguments; `passed_on` has what belongs to another program. Exits as argparse does."""
    if given and given[0] in PASSING_ON and given[1:2] not in (["-h"], ["--help"]):
        return argparse.Namespace(command=given[0], passed_on=list(given[1:]))
    return parser().parse_args(given, argparse.Namespace(passed_on=[]))


def program(arguments: argparse.Namespace) -> str:
    """Return the name of the program that a command becomes: `tap` of stored rows is the writer's."""
    passed_on = " ".join(arguments.passed_on).replace("=", " ")
    return "tap row" if arguments.command == "tap" and "--at row" in passed_on else str(arguments.command)


def forget_options(arguments: argparse.Namespace) -> list[str]:
    """Return the arguments for `seve-writer forget`."""
    asked = ["--yes"] if arguments.yes else []
    return [*asked, "--simulated"] if arguments.simulated else [*asked, "--", arguments.module]


def parser() -> argparse.ArgumentParser:
    """Return the parser of every command."""
    top = argparse.ArgumentParser(
        prog="seve",
        description="Run Sève, and use it, on this machine.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _running(commands)
    _looking(commands)
    _messages(commands)
    _devices(commands)
    _data(commands)
    _machine(commands)
    return top


Commands = argparse._SubParsersAction  # noqa: SLF001  (argparse gives it no public name)


def _command(commands: "Commands[argparse.ArgumentParser]", name: str, summary: str) -> argparse.ArgumentParser:
    return commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")


def _running(commands: "Commands[argparse.ArgumentParser]") -> None:
    _command(commands, "up", "start everything and wait until it is ready")
    _command(commands, "down", "stop everything; data stay")
    scale = _command(commands, "scale", "set how many writers share the work, while it runs")
    scale.add_argument("writers", metavar="WRITERS=N", type=_writers)


def _looking(commands: "Commands[argparse.ArgumentParser]") -> None:
    _command(commands, "status", "show what runs, what waits, what is stored, what went wrong")
    top = _command(commands, "top", "show each second what flows, how late it is, and what is refused")
    top.add_argument("--once", action="store_true", help="one screen as plain text, as without a terminal")
    _command(commands, "check", "find what would keep it from running; starts nothing, exit code 1 for faults")
    logs = _command(commands, "logs", "follow the logs")
    logs.add_argument(
        "program", nargs="*", help="ingest, writer, history, broadcaster, nats, postgres; all unless named"
    )
    logs.add_argument("--lines", type=int, default=10, help="how many to begin with [10]")
    logs.add_argument("--once", action="store_true", help="show them and end")
    logs.add_argument("--raw", action="store_true", help="as they are written")
    audit = _command(commands, "audit", "tell whether every message is accounted for; exit code 0 if so")
    audit.add_argument("--from", metavar="SEQUENCE", help="judge the journal from there on")
    audit.add_argument("--json", action="store_true", help="for programs, with every sequence")


def _messages(commands: "Commands[argparse.ArgumentParser]") -> None:
    publish = _command(commands, "publish", "publish one message at QoS 1")
    publish.add_argument("topic")
    publish.add_argument("payload")
    watch = _command(commands, "watch", "show the frames that a WebSocket client gets")
    watch.add_argument("module", nargs="*", help="all unless named")
    explain = _command(commands, "explain", "say how a message would be read; without a topic, list the routes")
    explain.add_argument("topic", nargs="?")
    explain.add_argument("payload", nargs="?", help="the payload; @FILE reads it from a file, @- from standard input")
    explain.add_argument("--retained", action="store_true", help="as a retained message")
    explain.add_argument("--routes", metavar="FILE", help="try this TOML file of routes instead of ROUTES_FILE's")
    dead = _command(commands, "deadletter", "list, show, retry or drop dead letters")
    dead.add_argument("action", choices=("list", "show", "retry", "drop"), help="each has its own --help")
    tap = _command(commands, "tap", "show live messages: as they arrive and are read, in the journal, stored, refused")
    tap.add_argument("--at", choices=("mqtt", "journal", "row", "dead"), help="where to look [mqtt]")
    tap.add_argument("--module", metavar="M", help="only this module; can be repeated")
    tap.add_argument("--rate", metavar="N", help="most messages per second that are shown [20]")
    tap.add_argument("--width", metavar="N", help="columns to cut lines to [the terminal's]")
    tap.add_argument("--count", metavar="N", help="end after so many messages [never]")
    simulate = _command(commands, "simulate", "run a simulated fleet against the stack, with a closing account")
    simulate.add_argument("--modules", metavar="N", help="how many modules [50]")
    simulate.add_argument("--rate", metavar="N", help="samples per second of all modules [500]")
    simulate.add_argument("--seconds", metavar="N", help="how long samples are sent [20]")
    simulate.add_argument("--devices", metavar="FILE", help="modules with identities: what `device add --out` wrote")


def _devices(commands: "Commands[argparse.ArgumentParser]") -> None:
    summary = "give each device a user and password of its own, which hold for its own topics only"
    actions = _command(commands, "device", summary).add_subparsers(dest="action", required=True, metavar="ACTION")
    add = _command(actions, "add", "make the identity of a module, and show its password once")
    add.add_argument("module", nargs="*", help="as its topics name it; it is the user's name too")
    add.add_argument("--file", metavar="FILE", help="also those named in a file, one a line; - is standard input")
    add.add_argument("--publish", metavar="FILTER", action="append", default=[], help=GATEWAY)
    _command(actions, "list", "list the modules that have an identity").add_argument("--json", action="store_true")
    remove = _command(actions, "remove", "end identities at once; connections that use them are closed")
    remove.add_argument("module", nargs="+")
    rotate = _command(actions, "rotate", "replace the password of a module, and show the new one once")
    rotate.add_argument("module")
    for making in (add, rotate):
        making.add_argument("--json", action="store_true", help="for programs")
        making.add_argument("--out", metavar="FILE", help="write module and password to a file that you alone can read")


def _data(commands: "Commands[argparse.ArgumentParser]") -> None:
    psql = _command(commands, "psql", "talk to the database; what follows goes to psql")
    psql.add_argument("option", nargs="*", help="such as -c 'SELECT 1'")
    export = _command(commands, "export", "write samples as CSV")
    export.add_argument("--module", metavar="MODULE", help="only this module; can be repeated [all]")
    export.add_argument("--from", metavar="TIME", help="from there: a time, or a duration before now [all]")
    export.add_argument("--to", metavar="TIME", help="before that [now]")
    export.add_argument("--output", metavar="FILE", help="where to; NAME.csv.gz is compressed [stdout]")
    forget = _command(commands, "forget", "remove a module everywhere, after asking")
    which = forget.add_mutually_exclusive_group(required=True)
    which.add_argument("module", nargs="?", help="its name, as in the table measurements")
    which.add_argument("--simulated", action="store_true", help="every module that `simulate` named")
    forget.add_argument("--yes", action="store_true", help="do not ask")
    run = _command(commands, "run", "run a command that finds the stack in its environment")
    run.add_argument("program", nargs="+", help="such as env, or seve-writer audit")
    backup = _command(commands, "backup", "write the database and the journal to a file, while it runs")
    backup.add_argument("file")
    restore = _command(commands, "restore", "put a backup in the place of all data, after asking")
    restore.add_argument("file")
    restore.add_argument("--yes", action="store_true", help="do not ask")
    clean = _command(commands, "clean", "remove all data, after asking")
    clean.add_argument("--yes", action="store_true", help="do not ask")


def _machine(commands: "Commands[argparse.ArgumentParser]") -> None:
    install = _command(commands, "install", "make .venv, which embedded mode runs on; `up` does it by itself")
    install.add_argument("--dev", action="store_true", help="with what tests and linters need")
    certs = _command(commands, "certs", "make certificates for TLS, renew those that end soon, say what a device needs")
    certs.add_argument("--name", action="append", default=[], help="a name or address of this machine; repeatable")
    certs.add_argument("--device", action="append", default=[], help="name of a device's own certificate; repeatable")
    certs.add_argument("--renew", action="store_true", help="renew all but the CA")
    _command(commands, "prepare", "make the passwords of the containers and print what `docker compose` by hand needs")
    _command(commands, "possible", "tell whether this machine can run the containers; exit code 0 if so")
    completion = _command(commands, "completion", "print a script that completes commands and options in a shell")
    completion.add_argument("shell", choices=("bash", "zsh"))


def _writers(text: str) -> int:
    number = text.removeprefix("WRITERS=").removeprefix("writers=")
    if not number.isdigit() or not 1 <= int(number) <= 64:
        raise argparse.ArgumentTypeError("expected WRITERS=N, N from 1 to 64")
    return int(number)
