"""The stack of `compose.yaml`, or the cluster, as a project of the test, with its own ports, passwords and volumes."""

import os
import re
import subprocess
import uuid
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

from support.conditions import free_port, wait_until

ROOT = Path(__file__).parents[2]
TAG = f"test-{blake2b(str(ROOT).encode(), digest_size=4).hexdigest()}"
"""The tag of the images that tests build: each working copy has its own, so that two can be tested at once."""

ACCOUNT = re.compile(r"samples +sent (\d+)(?:,| =) acknowledged (\d+)(?:,| =) stored (\d+)(?:,| =) seen (\d+)")


class Compose:
    """The stack, controlled by the commands of `./seve`."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.project = f"seve-test-{uuid.uuid4().hex[:8]}"
        self.mqtt_port, self.ws_port = free_port(), free_port()
        self.secrets = folder / "secrets"
        self.environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "SEVE_PROJECT": self.project,
            "MQTT_LISTEN": f"127.0.0.1:{self.mqtt_port}",
            "WS_LISTEN": f"127.0.0.1:{self.ws_port}",
            "SECRETS": str(self.secrets),
            "SEVE_TAG": TAG,
            "FLUSH_INTERVAL": "500ms",
            "MODE": "docker",
            "MQTT_ACCESS": "open",  # for Compose's own commands; those of `./seve` set it themselves
            "MQTT_CLIENT_ID": f"seve-ingest-{self.project}",
            **environment,
        }

    def command(self, *arguments: str) -> list[str]:
        return [str(ROOT / "seve"), *arguments]

    def run(self, *arguments: str, code: int = 0, seconds: float = 240) -> str:
        """Run one command of the stack, which must end with `code`; return its output."""
        return self._run(self.command(*arguments), code, seconds)

    def docker(self, *arguments: str) -> str:
        """Run one command of docker."""
        return self._run(["docker", *arguments], 0, 120)

    def compose(self, *arguments: str) -> str:
        """Run one command of Compose on this project."""
        return self._run(["docker", "compose", "--progress", "quiet", *arguments], 0, 180)

    def execute(self, command: list[str]) -> str:
        """Run any command in the environment of the stack."""
        return self._run(command, 0, 60)

    def _run(self, command: list[str], code: int, seconds: float) -> str:
        run = subprocess.run(
            command,
            check=False,
            env=self.environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        assert run.returncode == code, f"{command}: {run.returncode}\n{run.stdout[-4000:]}\n{run.stderr[-4000:]}"
        return run.stdout + run.stderr

    def containers(self) -> dict[str, str]:
        """Return the name of each container of the project, with its service."""
        listing = self.compose("ps", "--all", "--format", "{{.Name}} {{.Service}}")
        return dict(line.split() for line in listing.splitlines())

    def sql(self, query: str) -> str:
        """Return the output of psql for a query."""
        return self.run("psql", "-qAtc", query).strip()

    @contextmanager
    def load(self, path: Path, rate: int, seconds: int):
        """Run a simulated fleet; yields a function that waits for its account."""
        log = path / "fleet.log"
        arguments = ["run", "seve-simulate", "--modules=20", f"--rate={rate}", f"--seconds={seconds}"]
        with log.open("w") as out:
            options = {"stdout": out, "stderr": out, "stdin": subprocess.DEVNULL}
            process = subprocess.Popen(self.command(*arguments), env=self.environment, cwd=ROOT, **options)

        def account() -> tuple[int, str]:
            code = process.wait(seconds + 120)
            return code, log.read_text()

        try:
            wait_until(lambda: " sent " in log.read_text() or process.poll() is not None, "the fleet at work", 60)
            assert process.poll() is None, log.read_text()
            yield account
        finally:
            process.kill()
            process.wait()

    def remove(self) -> None:
        """Remove the project with its volumes."""
        self.compose("--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "5")


def numbers(text: str) -> tuple[int, int, int, int]:
    """Return the numbers sent, acknowledged, stored and seen in a fleet's account."""
    found = ACCOUNT.search(text)
    assert found, text
    sent, acknowledged, stored, seen = map(int, found.groups())
    return sent, acknowledged, stored, seen
