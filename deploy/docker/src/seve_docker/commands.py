"""The commands of `./seve` in containers. Commands that publish, watch, count or query run in a container within the
stack's network (service `tools`), since only the ports of MQTT and the broadcaster are published.
"""

import argparse
import contextlib
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from seve_embedded.checks import finding
from seve_embedded.cli.arguments import forget_options, program
from seve_embedded.shared import device_command, env_file, logfile
from seve_embedded.shared.identities import DeviceError, Rules
from seve_embedded.top.terminal import LEAVE
from seve_runtime.errors import SettingsError

from seve_docker import certs, check, images, prepare, tls
from seve_docker.compose import Compose, engine_answers
from seve_docker.device import MosquittoBroker
from seve_docker.errors import CommandFailed, NotUp
from seve_docker.up import page, up, wait_healthy

NO_ENGINE: Final = "no Docker engine answers"
OBSERVER: Final = (
    "NATS_USER=observer",
    "NATS_INBOX_PREFIX=_INBOX_observer",
    "NATS_PASSWORD_FILE=/run/secrets/nats_observer",
    "DATABASE_URL_FILE=/run/secrets/history_database_url",
)
"""The read-only logins in the container `tools`."""

PROGRAMS: Final = {
    "audit": ["seve-writer", "audit"],
    "simulate": ["seve-simulate"],
    "explain": ["seve-ingest", "explain"],
    "deadletter": ["seve-ingest", "deadletter"],
    "export": ["seve-history", "export"],
    "tap": ["env", *OBSERVER, "seve-ingest", "tap"],
    "tap row": ["env", *OBSERVER, "seve-writer", "tap"],
    "run": [],
}
"""Commands that start a program in the container `tools`."""

EVERY_PROFILE: Final = ("--profile", "*")
LOGGING: Final = ("ingest", "writer", "history", "broadcaster", "setup")
"""Services whose logs are in our format."""

CLIENT: Final = ("python", "-m", "client")
"""deploy/docker/client.py, in the container `tools`."""


class Containers:
    """The stack in containers, of the project at `root`; `environ` has the settings, `.env` included."""

    def __init__(self, root: Path, environ: Mapping[str, str]) -> None:
        self._root = root
        self._compose = Compose(root, environ)
        with contextlib.suppress(SettingsError):  # reported when the passwords are made
            self._compose.environ.update(tls.settings(root, environ))

    def impossible(self) -> str | None:
        """Return why this machine cannot run it; None if it can."""
        if not engine_answers():
            return NO_ENGINE
        name = images.missing(self._compose)
        return name and f"Docker is here, but the image {name} can be neither found nor pulled"

    def run(self, arguments: argparse.Namespace) -> int:
        """Run one command; return the exit code: 1 failed, 2 settings that cannot be used."""
        try:
            return self._command(arguments.command)(arguments)
        except prepare.BadSettings as error:
            print("\n".join(f"setting {fault}" for fault in error.faults), file=sys.stderr)
            return 2
        except (CommandFailed, DeviceError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1

    def _command(self, name: str) -> Callable[[argparse.Namespace], int]:
        """Return the function that runs a command. Raises CommandFailed if it needs an engine and none answers."""
        settling = {"up": self._up, "prepare": self._prepare, "possible": self._possible, "check": self._check}
        commands = {
            "down": self._down,
            "status": self._status,
            "top": self._top,
            "logs": self._logs,
            "scale": self._scale,
            "psql": self._psql,
            "publish": self._publish,
            "watch": self._watch,
            "forget": self._forget,
            "device": self._device,
            "clean": self._clean,
            "certs": self._certs,
            **dict.fromkeys(("backup", "restore"), self._by_hand),
            **dict.fromkeys(PROGRAMS, self._program),
        }
        if name not in settling and not engine_answers():
            raise CommandFailed(NO_ENGINE)
        return {**settling, **commands}[name]

    def _possible(self, _arguments: argparse.Namespace) -> int:
        why = self.impossible()
        print(why or "This machine can run Sève in Docker.")
        return 1 if why else 0

    def _up(self, _arguments: argparse.Namespace) -> int:
        self._settle(self._misspelt())
        if not engine_answers():
            raise CommandFailed(NO_ENGINE)
        up(self._compose, prepare.patience(self._compose.environ))
        print(f"\nSève is up, in Docker.\n{page(self._compose)}", flush=True)
        return 0

    def _prepare(self, _arguments: argparse.Namespace) -> int:
        settings = self._settle([])
        print("\n".join(f"export {name}={shlex.quote(value)}" for name, value in settings.items()))
        return 0

    def _check(self, _arguments: argparse.Namespace) -> int:
        findings, facts = check.gather(self._compose, self._written())
        print(finding.report(findings, facts))
        return finding.exit_code(findings)

    def _written(self) -> dict[str, str]:
        """Return the variables of `.env`. Raises EnvFileError."""
        file = self._root / ".env"
        return env_file.parse(file.read_text(encoding="utf-8")) if file.exists() else {}

    def _misspelt(self) -> list[str]:
        return prepare.misspelt(self._written())

    def _settle(self, faults: list[str]) -> dict[str, str]:
        """Make the passwords, and add the other settings that Compose needs to its environment. Raises BadSettings."""
        if faults:
            raise prepare.BadSettings([*faults, *prepare.faults(self._root, self._compose.environ)])
        settings = prepare.prepare(self._root, self._compose.environ)
        self._compose.environ.update(settings)
        return settings

    def _need_up(self) -> None:
        if not self._compose.running:
            raise NotUp

    def _program(self, arguments: argparse.Namespace) -> int:
        command = [*PROGRAMS[program(arguments)], *arguments.passed_on]
        if not command:
            raise CommandFailed("name a command to run, such as: ./seve run env")
        return self._tools(*command)

    def _publish(self, arguments: argparse.Namespace) -> int:
        return self._tools(*CLIENT, "publish", arguments.topic, arguments.payload)

    def _forget(self, arguments: argparse.Namespace) -> int:
        """Forget modules, then clear the messages that the broker retains for them."""
        code = self._tools("seve-writer", "forget", *forget_options(arguments))
        if code == 0:
            rules = Rules.of(self._compose.environ, self._root)
            filters = ["--simulated"] if arguments.simulated else rules.rights(arguments.module).publish
            code = self._tools(*CLIENT, "clear", *filters)
        return code

    def _device(self, arguments: argparse.Namespace) -> int:
        self._settle([])
        device_command.run(arguments, MosquittoBroker(self._compose), lambda line: print(line, flush=True))
        return 0

    def _certs(self, arguments: argparse.Namespace) -> int:
        certs.certs(self._compose, arguments.name, arguments.device, renew=arguments.renew)
        if self._compose.running:  # also if only a certificate of the person's own was replaced
            self._settle([])
            certs.take_up(self._compose)
        return 0

    def _watch(self, arguments: argparse.Namespace) -> int:
        return self._tools(*CLIENT, "watch", *arguments.module)

    def _tools(self, *command: str) -> int:
        """Run a command in the container `tools`; return its exit code. Raises NotUp."""
        self._need_up()
        self._token()
        return self._compose.call("run", "--rm", "--no-deps", *_terminal(), "tools", *command)

    def _token(self) -> None:
        """Add a token for all modules to the environment, if the stack's own secret can sign one and WS_TOKEN is not
        set.
        """
        environ = self._compose.environ
        if environ.get("JWT_SECRET") and not environ.get("WS_TOKEN"):
            command = ("exec", "-T", "broadcaster", "seve-broadcaster", "token", "--modules", "*")
            environ["WS_TOKEN"] = self._compose.output(*command).strip()

    def _down(self, _arguments: argparse.Namespace) -> int:
        running = self._compose.running
        code = self._compose.call(*EVERY_PROFILE, "down", "--remove-orphans")
        print("Sève is down; its data stay in Docker's volumes." if running else "Sève is not up.")
        return code

    def _status(self, _arguments: argparse.Namespace) -> int:
        if not self._compose.running:
            print("Sève is not up. `make up` starts it.")
            return 1
        print("Sève is up, in Docker.\n", flush=True)
        self._compose.call("ps", "--format", "table {{.Name}}\t{{.Status}}\t{{.Ports}}")
        print(flush=True)
        log = self._compose.output("logs", "--no-color", "--since", "24h", *LOGGING)
        errors = [line for line in log.splitlines() if _is_error(line)][-3:]
        asked = self._compose.ask("run", "--rm", "--no-deps", "-T", "tools", *CLIENT, "status", given="\n".join(errors))
        print(asked.stdout, end="")
        print(asked.stderr, end="", file=sys.stderr)
        return asked.returncode

    def _top(self, arguments: argparse.Namespace) -> int:
        """Run `top` in the container `tools`, and feed it the errors of the logs, which only the host can read."""
        self._need_up()
        live = sys.stdout.isatty() and not arguments.once
        size = shutil.get_terminal_size()
        fixed = ("-e", f"COLUMNS={size.columns}", "-e", f"LINES={size.lines}", "-e", f"SEVE_TERMINAL={int(live)}")
        process = self._compose.feed("run", "--rm", "--no-deps", "-T", *fixed, "tools", *CLIENT, "top")
        follow = ("--follow",) if live else ()
        logs = self._compose.open("logs", "--no-color", "--since", "24h", *follow, *LOGGING)
        try:
            with logs, process.stdin or contextlib.nullcontext() as told:
                for line in logs.stdout or ():
                    if told and _is_error(line):
                        print(line.rstrip("\n"), file=told, flush=True)
        except (KeyboardInterrupt, BrokenPipeError):  # ended by the person, or by `top` itself
            logs.terminate()
        code = process.wait()
        if live:
            print(LEAVE, end="", flush=True)
        return 0 if live else code

    def _logs(self, arguments: argparse.Namespace) -> int:
        self._need_up()
        options = ["--no-color", "--tail", str(arguments.lines), *([] if arguments.once else ["--follow"])]
        with self._compose.open("logs", *options, *arguments.program) as process:
            for line in process.stdout or ():
                name, bar, event = line.rstrip("\n").partition("| ")
                print(line.rstrip("\n") if arguments.raw else f"{name}{bar}{logfile.readable(event)}", flush=True)
        return process.returncode

    def _scale(self, arguments: argparse.Namespace) -> int:
        self._settle([])
        self._need_up()
        number = arguments.writers
        fixed = ("--no-deps", "--no-recreate", "--no-build")
        self._compose.need(
            "up", "-d", *fixed, "--scale", f"writer={number}", "writer", fault="the writers did not start"
        )
        wait_healthy(self._compose, prepare.patience(self._compose.environ))
        print(f"Sève runs {number} writers. WRITERS={number} in .env makes it last.")
        return 0

    def _psql(self, arguments: argparse.Namespace) -> int:
        self._need_up()
        return self._compose.call(
            "exec", *_terminal(), "postgres", "psql", "-U", "seve_operator", "-d", "seve", *arguments.passed_on
        )

    def _by_hand(self, arguments: argparse.Namespace) -> int:
        raise CommandFailed(f"{arguments.command} is done by hand in Docker: docs/operations.md#backup-and-restore")

    def _clean(self, arguments: argparse.Namespace) -> int:
        if self._compose.running:
            raise CommandFailed("the stack runs: `make down` first")
        if not arguments.yes:
            if not sys.stdin.isatty():
                print("Nobody to ask: `make clean YES=1` does not ask.")
                return 1
            answer = input("Remove the containers' volumes with all stored telemetry? [y/N] ")
            if answer.strip().lower() not in ("y", "yes"):
                print("Nothing removed.")
                return 1
        code = self._compose.call(*EVERY_PROFILE, "down", "--volumes", "--remove-orphans")
        folder = prepare.secrets_folder(self._root, self._compose.environ)
        shutil.rmtree(folder, ignore_errors=True)  # the database with these passwords is gone
        print("Removed.")
        return code


def _terminal() -> list[str]:
    return [] if sys.stdin.isatty() and sys.stdout.isatty() else ["-T"]


def _is_error(line: str) -> bool:
    """Whether a service's log line, `container | {event}`, is an error."""
    return logfile.is_error(logfile.parsed(line.partition("| ")[2].strip()) or {})
