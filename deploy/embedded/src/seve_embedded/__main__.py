"""The commands of `./seve` in embedded mode; runs in `.venv`, in the project's folder."""

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil
from paho.mqtt import MQTTException
from seve_runtime.errors import SettingsError, SeveError
from seve_runtime.nats.connection import NatsSettings
from seve_runtime.settings import load
from websockets.exceptions import WebSocketException

from seve_embedded.checks import settings as settings_check
from seve_embedded.checks.finding import exit_code, report
from seve_embedded.cli.arguments import forget_options, parse, program
from seve_embedded.commands import backup, certs, check, clean, device, down, logs, scale, status, up
from seve_embedded.servers import postgres
from seve_embedded.settings import StackSettings
from seve_embedded.shared import device_command, logfile, pubsub, retained, status_report, welcome
from seve_embedded.shared.identities import Rules
from seve_embedded.stack import Stack
from seve_embedded.state import State
from seve_embedded.top.command import top
from seve_embedded.top.sources import Listener, Sources

PROGRAMS = {
    "audit": ("-m", "seve_writer", "audit"),
    "simulate": ("-m", "seve_fleet"),
    "explain": ("-m", "seve_ingest", "explain"),
    "deadletter": ("-m", "seve_ingest", "deadletter"),
    "export": ("-m", "seve_history", "export"),
    "tap": ("-m", "seve_ingest", "tap"),
    "tap row": ("-m", "seve_writer", "tap"),
}
"""Commands that start one of our programs, with the arguments for Python."""


class NothingToRun(SeveError):
    """`run` without a command."""


class NotUp(SeveError):
    """A command needs a running stack."""

    def __init__(self) -> None:
        super().__init__("Sève is not up: `make up` starts it")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code: 1 failed, 2 settings that cannot be used."""
    arguments = parse(list(sys.argv[1:] if argv is None else argv))
    try:
        if arguments.command == "up":
            settings_check.check(os.environ, Path.cwd(), _say)
        if arguments.command == "check":
            return _check(Path.cwd())
        stack = _open(arguments.command, Path.cwd())
        if arguments.command in ONLY_WHEN_UP and not stack.running:
            raise NotUp
        return int(COMMANDS[arguments.command](stack, arguments) or 0)
    except SettingsError as error:
        for fault in error.faults:
            print(f"setting {fault}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of the output has gone
        _deafen()
        return 0
    except (SeveError, OSError, MQTTException, WebSocketException) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _open(command: str, root: Path) -> Stack:
    """Open the stack of the project. `down` and `certs` work on it even if its settings have become faulty.

    Raises SettingsError.
    """
    try:
        return Stack.open(os.environ, root)
    except SettingsError:
        if command not in ("down", "certs"):
            raise
        return Stack(load(StackSettings, {}), State(root / ".seve"), os.environ)


def _say(line: str) -> None:
    """Print at once. If the reader has gone (`make up | head`), the command goes on without output."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        _deafen()


def _deafen() -> None:
    """Discard further output, including what the interpreter would still flush at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _up(stack: Stack, _arguments: argparse.Namespace) -> None:
    with up.alone(stack):
        fresh = up.up(stack, _say)
    plan = stack.current
    _say("\nSève is up." if fresh else "\nSève is up already.")
    settings = stack.settings
    page = welcome.text(
        plan.rows,
        mqtt=plan.addresses.mqtt,
        ca=plan.addresses.tls.get("MQTT_CA_FILE"),
        listen=settings.mqtt_listen,
        username=settings.mqtt_username,
        own=settings.mqtt_devices == "own",
        networks=_networks(),
    )
    _say(page)
    if stack.environ.get("OBSERVABILITY"):
        _say(
            "\n  OBSERVABILITY is Docker's: without it, docs/operations.md#what-to-watch says what a Prometheus needs."
        )
    if plan.dotenv != stack.dotenv:
        _say("\n  .env has changed since it started: `make down up` applies it.")


def _down(stack: Stack, _arguments: argparse.Namespace) -> None:
    with up.alone(stack):
        if not stack.running:
            _say("Sève is not up.")
            return
        killed = down.down(stack)
    _say("Sève is down; its data stay in .seve/.")
    if killed:
        _say(f"  late, hence killed: {', '.join(killed)}")


def _logs(stack: Stack, arguments: argparse.Namespace) -> None:
    logs.follow(stack, arguments.program, lines=arguments.lines, once=arguments.once, raw=arguments.raw, show=print)


def _clean(stack: Stack, arguments: argparse.Namespace) -> int:
    if clean.clean(stack, lambda question: _sure(question, arguments)):
        _say("Removed.")
        return 0
    _say("Nothing removed." if sys.stdin.isatty() else "Nobody to ask: `make clean YES=1` does not ask.")
    return 1


def _sure(question: str, arguments: argparse.Namespace) -> bool:
    return arguments.yes or (sys.stdin.isatty() and input(f"{question} [y/N] ").strip().lower() in ("y", "yes"))


def _certs(stack: Stack, arguments: argparse.Namespace) -> None:
    certs.certs(stack, arguments.name, arguments.device, renew=arguments.renew, say=_say)


def _backup(stack: Stack, arguments: argparse.Namespace) -> None:
    with up.alone(stack):
        backup.backup(stack, Path(arguments.file), _say)


def _restore(stack: Stack, arguments: argparse.Namespace) -> int:
    file = Path(arguments.file)
    if not _sure(f"Replace all stored telemetry of this stack by {file}?", arguments):
        _say("Nothing replaced." if sys.stdin.isatty() else "Nobody to ask: --yes does not ask.")
        return 1
    with up.alone(stack):
        backup.restored(stack, file, _say)
    return 0


def _scale(stack: Stack, arguments: argparse.Namespace) -> None:
    with up.alone(stack):
        scale.scale(stack, arguments.writers, _say)
    many = "one writer" if arguments.writers == 1 else f"{arguments.writers} writers"
    _say(f"Sève runs {many}. WRITERS={arguments.writers} in .env makes it last.")


def _psql(stack: Stack, arguments: argparse.Namespace) -> int:
    url, password = postgres.without_password(stack.current.addresses.database)
    command = [str(postgres.binaries() / "psql"), url, *arguments.passed_on]
    return _become(command, stack, PGPASSWORD=password)


def _program(stack: Stack, arguments: argparse.Namespace) -> int:
    name = program(arguments)
    given = [sys.executable, *PROGRAMS[name], *arguments.passed_on]
    return _become(given, stack, **(stack.looking_on if arguments.command == "tap" else _token(stack)))


def _run(stack: Stack, arguments: argparse.Namespace) -> int:
    if not arguments.passed_on:
        raise NothingToRun("name a command to run, such as: ./seve run env")
    return _become(arguments.passed_on, stack, **_token(stack))


def _become(command: list[str], stack: Stack, **extra: str) -> int:
    beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    with subprocess.Popen(command, env={**stack.client_environ, **extra, "PATH": beside}) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:  # the program hears Ctrl-C as well, and decides
                continue


def _publish(stack: Stack, arguments: argparse.Namespace) -> None:
    variables = stack.client_environ
    pubsub.publish(variables, arguments.topic, arguments.payload, _login(variables))


def _forget(stack: Stack, arguments: argparse.Namespace) -> int:
    """Forget modules, then clear the messages that the broker retains for them: the user `pipeline` may read those,
    `mqtt_operator` may clear them.
    """
    code = _become([sys.executable, "-m", "seve_writer", "forget", *forget_options(arguments)], stack)
    if code == 0:
        module, environ = arguments.module, stack.client_environ
        rules = Rules.of(stack.environ, stack.state.folder.parent)
        filters = [retained.SIMULATED] if arguments.simulated else rules.rights(module).publish
        cleared = retained.clear(environ, filters, _login(stack.looking_on), _login(environ))
        _say(f"Cleared {cleared} retained messages at the broker.")
    return code


def _login(environ: Mapping[str, str]) -> tuple[str, str]:
    return environ["MQTT_USERNAME"], environ["MQTT_PASSWORD"]


def _device(stack: Stack, arguments: argparse.Namespace) -> None:
    with up.alone(stack):
        device_command.run(arguments, device.EmbeddedBroker(stack, _networks()), _say)


def _watch(stack: Stack, arguments: argparse.Namespace) -> None:
    environ = {**stack.client_environ, **_token(stack)}
    pubsub.watch(arguments.module, environ, lambda line: print(line, flush=True))


def _token(stack: Stack) -> dict[str, str]:
    """Return a token for all modules, for the person who runs this stack, if its own secret can sign one and WS_TOKEN
    is not set.
    """
    set_there = [name for name in ("JWT_SECRET", "JWT_SECRET_FILE") if stack.environ.get(name)]
    if not set_there or stack.environ.get("WS_TOKEN") or stack.environ.get("WS_TOKEN_FILE"):
        return {}
    command = [sys.executable, "-m", "seve_broadcaster", "token", "--modules", "*"]
    made = subprocess.run(command, check=True, env=stack.client_environ, stdout=subprocess.PIPE, text=True)
    return {"WS_TOKEN": made.stdout.strip()}


def _check(root: Path) -> int:
    """Run the checks. Opens no stack: faulty settings could prevent that."""
    findings, facts = check.gather(os.environ, root)
    _say(report(findings, facts))
    return exit_code(findings)


def _top(stack: Stack, arguments: argparse.Namespace) -> None:
    plan = stack.current

    def listeners() -> list[Listener]:
        return [
            Listener(one.name.partition("-")[0], one.name, "127.0.0.1", one.admin_port)
            for one in (stack.written or plan).programs  # `scale` rewrites it
            if one.admin_port
        ]

    def errors() -> list[tuple[str, str]]:
        found = [(one.name, event) for one in plan.programs for event in logfile.errors(stack.state.log(one.name), 3)]
        found.sort(key=lambda pair: str(pair[1].get("timestamp", "")))
        return [(name, logfile.told(event)) for name, event in found]

    top(
        Sources(listeners, load(NatsSettings, plan.addresses.observer), errors),
        "embedded",
        live=sys.stdout.isatty() and not arguments.once,
    )


def _status(stack: Stack, _arguments: argparse.Namespace) -> int:
    found = status.gather(stack)
    _say(status_report.render(found))
    return 0 if found.healthy else 1


COMMANDS = {
    "up": _up,
    "down": _down,
    "status": _status,
    "top": _top,
    "logs": _logs,
    "clean": _clean,
    "backup": _backup,
    "restore": _restore,
    "certs": _certs,
    "scale": _scale,
    **dict.fromkeys(PROGRAMS, _program),
    "psql": _psql,
    "publish": _publish,
    "forget": _forget,
    "device": _device,
    "watch": _watch,
    "run": _run,
}


ONLY_WHEN_UP = (
    "backup",
    "restore",
    "logs",
    "top",
    "tap",
    "scale",
    "audit",
    "simulate",
    "deadletter",
    "export",
    "forget",
    "psql",
    "publish",
    "watch",
    "run",
)


def _networks() -> list[str]:
    """Return the IPv4 addresses of this machine, without loopback."""
    return [
        address.address
        for several in psutil.net_if_addrs().values()
        for address in several
        if address.family.name == "AF_INET" and not address.address.startswith("127.")
    ]


if __name__ == "__main__":
    sys.exit(main())
