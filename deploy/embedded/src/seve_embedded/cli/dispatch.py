"""`./seve`: parses the command line, chooses the mode and hands the command to it. Standard library only.

Docker mode runs in this process; embedded mode in `.venv`, which is made on first use.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NoReturn, Protocol

from seve_embedded.cli import completion, install, mode
from seve_embedded.cli.arguments import parse
from seve_embedded.shared import env_file

ONLY_CONTAINERS: Final = ("possible", "prepare")
"""Commands for containers in any mode."""


SETTLING: Final = ("up", "prepare")
"""Commands that apply the settings to the stack."""


class Engine(Protocol):
    """The stack in containers."""

    def impossible(self) -> str | None:
        """Return why this machine cannot run it; None if it can."""
        ...

    def run(self, arguments: argparse.Namespace) -> int:
        """Run one command; return the exit code."""
        ...


def main(argv: Sequence[str], root: Path, engine: Callable[[Path, Mapping[str, str]], Engine]) -> int:
    """Run one command in the project at `root`; return the exit code: 1 failed, 2 settings that cannot be used."""
    arguments = parse(list(argv) or ["--help"])
    if arguments.command == "completion":
        print(completion.script(arguments.shell), end="")
        return 0
    os.chdir(root)
    try:
        if arguments.command == "install":
            install.ensure(root, install.DEV if arguments.dev else install.EMBEDDED)
            return 0
        return _run(arguments, argv, root, engine)
    except (env_file.EnvFileError, mode.UnknownMode) as error:
        print("\n".join(f"setting {fault}" for fault in error.faults), file=sys.stderr)
        return 2
    except install.NotInstalled as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _run(
    arguments: argparse.Namespace,
    argv: Sequence[str],
    root: Path,
    engine: Callable[[Path, Mapping[str, str]], Engine],
) -> int:
    environ = _environ(arguments.command, root / ".env")
    if arguments.command in SETTLING:
        _tell_readers(root / ".env")
    containers = engine(root, environ)
    if arguments.command in ONLY_CONTAINERS:
        return containers.run(arguments)
    chosen = mode.choose(arguments.command, environ, root, containers.impossible)
    if arguments.command == "up":
        mode.remember(chosen, root)
    if chosen == mode.DOCKER:
        return containers.run(arguments)
    return _become_embedded(root, argv)


def _environ(command: str, file: Path) -> dict[str, str]:
    """Return the environment with the variables of `.env`; `down` works even if that file is faulty. Raises
    EnvFileError.
    """
    try:
        return env_file.merged(os.environ, file.read_text(encoding="utf-8") if file.exists() else "")
    except env_file.EnvFileError:
        if command != "down":
            raise
        return dict(os.environ)


def _tell_readers(file: Path) -> None:
    """Warn if other users of this machine may read the secrets in `.env`."""
    if not file.exists() or not file.stat().st_mode & 0o077:
        return
    if names := env_file.secrets(env_file.parse(file.read_text(encoding="utf-8"))):
        told = f"other users of this machine may read {', '.join(names)} in it: chmod 600 {file.name}"
        print(f"warning: {file.name}: {told}", file=sys.stderr)


def _become_embedded(root: Path, argv: Sequence[str]) -> NoReturn:
    install.ensure(root, install.EMBEDDED)
    python = str(install.python(root))
    os.execv(python, [python, "-m", "seve_embedded", *argv])  # noqa: S606
