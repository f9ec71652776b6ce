"""Runs the command `seve-simulate` on a pipeline under test."""

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from support.conditions import wait_until


class Simulated:
    """A run of the command; `text` is its output so far."""

    def __init__(self, stack, folder: Path, *arguments: str, **environment: str) -> None:
        found = {"MQTT_BROKER": stack.mqtt_url, "WS_URL": stack.ws_url, "DATABASE_URL": stack.database_url}
        self._log = folder / "fleet.log"
        command = [sys.executable, "-m", "seve_fleet", *arguments]
        variables = {"PATH": os.environ["PATH"], "PATIENCE": "40s", **found, **environment}
        with self._log.open("w") as out:
            self.process = subprocess.Popen(command, env=variables, stdout=out, stderr=out)

    @property
    def text(self) -> str:
        return self._log.read_text()

    def wait_until_at_work(self) -> None:
        wait_until(lambda: " sent " in self.text or self.process.poll() is not None, "the fleet at work")
        assert self.process.poll() is None, self.text


@contextmanager
def simulated(stack, folder: Path, *arguments: str, **environment: str):
    """Run the command; it has ended or is killed when the context ends."""
    run = Simulated(stack, folder, *arguments, **environment)
    try:
        yield run
    finally:
        run.process.kill()
        run.process.wait()
