"""The command `seve-stack`: the embedded stack from the command line. `make` is the way a person meets it."""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import psutil
from paho.mqtt import MQTTException
from seve_runtime.errors import SettingsError, SeveError
from seve_runtime.service import settings_help
from websockets.exceptions import WebSocketException

from seve_embedded import clean, down, follow, postgres, report, scale, status, talk, up, welcome
from seve_embedded.settings import StackSettings
from seve_embedded.stack import Stack

DISPATCHER = "deploy/stack"


class NothingToRun(SeveError):
    """`run` without a command."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit code: 1 failed, 2 settings that cannot be used."""
    given = list(sys.argv[1:] if argv is None else argv)
    passed_on = given[1:] if given[:1] in (["psql"], ["run"]) and given[1:] not in (["-h"], ["--help"]) else []
    arguments = parser().parse_args(given[: len(given) - len(passed_on)], argparse.Namespace(passed_on=passed_on))
    try:
        stack = Stack.open(os.environ, Path.cwd())
        return int(COMMANDS[arguments.command](stack, arguments) or 0)
    except SettingsError as error:
        for fault in error.faults:
            print(f"setting {fault}", file=sys.stderr)
        return 2
    except (SeveError, OSError, MQTTException, WebSocketException) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


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
    commands.add_parser("psql", help="talk to the database; what follows goes to psql")
    publishing = commands.add_parser("publish", help="publish one message at QoS 1")
    publishing.add_argument("topic")
    publishing.add_argument("payload")
    watching = commands.add_parser("watch", help="show what a screen would get")
    watching.add_argument("module", nargs="*", help="all unless named")
    commands.add_parser("run", help="run the command that follows; it finds the stack in its environment")
    return top


def _say(line: str) -> None:
    """Print now. A reader that went away (`make up | head`) does not undo what is being told."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  (for the rest of this process)


def _up(stack: Stack, _arguments: argparse.Namespace) -> None:
    with up.alone(stack):
        fresh = up.up(stack, _say)
    plan = stack.current
    _say("\nSève is up." if fresh else "\nSève is up already.")
    _say(welcome.text(stack.settings, plan, DISPATCHER, _networks()))
    if plan.dotenv != stack.dotenv:
        _say("\n  .env has changed since it started: `make down up` applies it.")


def _down(stack: Stack, _arguments: argparse.Namespace) -> None:
    with up.alone(stack):
        if not stack.running:
            print("Sève is not up.")
            return
        killed = down.down(stack)
    print("Sève is down; its data stay in .seve/.")
    if killed:
        print(f"  late, hence killed: {', '.join(killed)}")


def _logs(stack: Stack, arguments: argparse.Namespace) -> None:
    follow.follow(stack, arguments.program, lines=arguments.lines, once=arguments.once, raw=arguments.raw, show=print)


def _clean(stack: Stack, arguments: argparse.Namespace) -> int:
    def sure(question: str) -> bool:
        return arguments.yes or (sys.stdin.isatty() and input(f"{question} [y/N] ").strip().lower() in ("y", "yes"))

    if clean.clean(stack, sure):
        print("Removed.")
        return 0
    print("Nothing removed." if sys.stdin.isatty() else "Nobody to ask: `make clean YES=1` does not ask.")
    return 1


def _scale(stack: Stack, arguments: argparse.Namespace) -> None:
    wanted = msgspec.structs.replace(stack.settings, writers=arguments.writers)
    scaled = stack.with_settings(wanted)
    with up.alone(scaled):
        scale.scale(scaled, _say)
    many = "one writer" if arguments.writers == 1 else f"{arguments.writers} writers"
    _say(f"Sève runs {many}. WRITERS={arguments.writers} in .env makes it last.")


def _psql(stack: Stack, arguments: argparse.Namespace) -> int:
    return _become([str(postgres.binaries() / "psql"), stack.current.addresses.database, *arguments.passed_on], stack)


def _run(stack: Stack, arguments: argparse.Namespace) -> int:
    if not arguments.passed_on:
        raise NothingToRun("what shall run? For example: deploy/stack run seve-simulate")
    return _become(arguments.passed_on, stack)


def _become(command: list[str], stack: Stack) -> int:
    beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return subprocess.run(command, check=False, env={**stack.client_environ, "PATH": beside}).returncode


def _publish(stack: Stack, arguments: argparse.Namespace) -> None:
    user, password = stack.settings.mqtt_username, stack.settings.mqtt_password
    login = (user, password.reveal()) if user and password else None
    talk.publish(stack.current.addresses.mqtt, arguments.topic, arguments.payload, login)


def _watch(stack: Stack, arguments: argparse.Namespace) -> None:
    talk.watch(stack.current.addresses.websocket, arguments.module, stack.environ, lambda line: print(line, flush=True))


def _status(stack: Stack, _arguments: argparse.Namespace) -> int:
    found = status.gather(stack)
    print(report.render(found))
    return 0 if found.healthy else 1


COMMANDS = {
    "up": _up,
    "down": _down,
    "status": _status,
    "logs": _logs,
    "clean": _clean,
    "scale": _scale,
    "psql": _psql,
    "publish": _publish,
    "watch": _watch,
    "run": _run,
}


def _writers(text: str) -> int:
    number = text.removeprefix("WRITERS=").removeprefix("writers=")
    if not number.isdigit() or not 1 <= int(number) <= 64:
        raise argparse.ArgumentTypeError("expected WRITERS=N, N from 1 to 64")
    return int(number)


def _networks() -> list[str]:
    """The IPv4 addresses of the machine, loopback aside."""
    return [
        address.address
        for several in psutil.net_if_addrs().values()
        for address in several
        if address.family.name == "AF_INET" and not address.address.startswith("127.")
    ]


if __name__ == "__main__":
    sys.exit(main())
