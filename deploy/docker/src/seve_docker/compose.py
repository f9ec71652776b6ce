"""Runs Docker and Compose. Compose reads no `.env`: every setting comes from the environment, which the parser of both
modes fills.
"""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from seve_docker.errors import CommandFailed

DOCKER: Final = "docker"
CLOSED: Final = {"MQTT_ACCESS": "password"}
"""Variables without which compose.yaml refuses to run; `prepare` sets the right values."""


class Container(NamedTuple):
    """One container: its service, its state (`running`, `exited` …), its health (`healthy` …), and its exit code."""

    service: str
    state: str
    health: str
    code: int

    @property
    def settled(self) -> bool:
        """Whether the container is in its final state: `setup` done, any other one healthy."""
        if self.service == "setup":
            return self.state == "exited" and self.code == 0
        return self.service == "tools" or (self.state == "running" and self.health == "healthy")


class Compose:
    """The project at `root`; `environ` has the variables that Compose substitutes."""

    def __init__(self, root: Path, environ: Mapping[str, str]) -> None:
        self.root = root
        self.environ = {**CLOSED, **environ}

    def call(self, *arguments: str, seconds: float | None = None) -> int:
        """Run one command of Compose on this terminal; return its exit code. Raises TimeoutExpired."""
        return subprocess.run(
            self._command(arguments), check=False, cwd=self.root, env=self.environ, timeout=seconds
        ).returncode

    def need(self, *arguments: str, fault: str) -> None:
        """Run one command of Compose that has to succeed. Raises CommandFailed."""
        if self.call(*arguments):
            raise CommandFailed(fault)

    def output(self, *arguments: str) -> str:
        """Return the output of one command of Compose; an empty text if it fails."""
        done = self.ask(*arguments)
        return done.stdout if done.returncode == 0 else ""

    def ask(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run one command of Compose and return its output."""
        command = self._command(arguments)
        return subprocess.run(
            command, check=False, cwd=self.root, env=self.environ, input=given, capture_output=True, text=True
        )

    def open(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start one command of Compose whose output is read line by line."""
        return subprocess.Popen(
            self._command(arguments), cwd=self.root, env=self.environ, stdout=subprocess.PIPE, text=True
        )

    def feed(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start one command of Compose on this terminal whose standard input is written line by line."""
        return subprocess.Popen(
            self._command(arguments), cwd=self.root, env=self.environ, stdin=subprocess.PIPE, text=True
        )

    def states(self) -> list[Container]:
        """Return every container of the project. Raises CommandFailed."""
        done = self.ask("ps", "-a", "--format", "{{.Service}}\t{{.State}}\t{{.Health}}\t{{.ExitCode}}")
        if done.returncode:
            raise CommandFailed(f"the containers could not be listed: {done.stderr.strip()}")
        rows = [line.split("\t") for line in done.stdout.splitlines()]
        return [Container(service, state, health, int(code)) for service, state, health, code in rows]

    @property
    def running(self) -> bool:
        """Whether any container runs."""
        return bool(self.output("ps", "-q").strip())

    def default(self, variable: str) -> str:
        """Return a setting, or the default that the Compose files give it."""
        if said := self.environ.get(variable):
            return said
        texts = [path.read_text(encoding="utf-8") for path in sorted(self.root.glob("compose*.yaml"), reverse=True)]
        matches = [match for text in texts for match in re.findall(rf"\$\{{{variable}:-([^}}]+)", text)]
        return str(matches[0])

    def root_folder(self) -> str:
        """Return the folder of the engine's images and volumes, on its own machine."""
        return output("info", "--format", "{{.DockerRootDir}}").strip()

    @staticmethod
    def _command(arguments: Sequence[str]) -> list[str]:
        return [DOCKER, "compose", "--env-file", os.devnull, "--progress", "quiet", *arguments]


def docker(*arguments: str) -> bool:
    """Run one quiet docker command; return whether it succeeded."""
    try:
        return subprocess.run([DOCKER, *arguments], check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def output(*arguments: str) -> str:
    """Return the output of one docker command; nothing if it fails."""
    done = subprocess.run([DOCKER, *arguments], check=False, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else ""


def engine_answers() -> bool:
    """Return whether an engine and Compose are available."""
    return docker("info") and docker("compose", "version")
