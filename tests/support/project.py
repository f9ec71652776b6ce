"""A project folder for commands of the embedded stack, on free ports."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager

from seve_embedded.state import State
from seve_embedded.supervision import processes, readiness

from support.conditions import free_port, wait_until

LISTENS = ("MQTT_LISTEN", "WS_LISTEN")
SERVICES = ("INGEST", "WRITER", "HISTORY", "BROADCASTER")
PORTS = ("NATS_PORT", "POSTGRES_PORT", *(f"{service}_ADMIN_PORT" for service in SERVICES))


@contextmanager
def project_in(folder):
    """A project in a folder that is made; nothing of it runs in the end."""
    folder.mkdir()
    project = Project(folder)
    yield project
    project.say("down")
    assert processes.alive(project.state.pids) == []


class Project:
    """A project folder, in which commands of `./seve` run."""

    def __init__(self, folder):
        self.folder = folder
        self.state = State(folder / ".seve")
        self.ports = {name: free_port() for name in (*LISTENS, *PORTS)}
        settings = {name: f"127.0.0.1:{port}" if name in LISTENS else port for name, port in self.ports.items()}
        settings |= {
            "FLUSH_INTERVAL": "200ms",
            "ACK_WAIT": "3s",
            "JOURNAL_MAX_BYTES": "64MiB",
            "HISTORY_MAX_BYTES": "64MiB",
        }
        settings |= {"LATEST_MAX_BYTES": "16MiB", "DEADLETTER_MAX_BYTES": "16MiB"}
        (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))

    def say(self, *words, code=0):
        """Run one command, which must end with `code`; return its output."""
        environ = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        done = subprocess.run(
            [sys.executable, "-m", "seve_embedded", *words],
            cwd=self.folder,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def pid(self, name):
        return next((process.pid for process in processes.alive(self.state.pids) if process.name == name), None)

    def kill(self, name):
        """Kill a program and wait until it is gone; return its pid."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self.pid(name) != pid, f"{name} gone")
        return pid

    def ready(self, setting):
        return readiness.ask(self.ports[setting]).ready

    def values(self):
        return self.say("psql", "-Atc", "SELECT value FROM measurements ORDER BY value").split()

    def publish(self, value):
        self.say("publish", "croissance/co2", str(value))
