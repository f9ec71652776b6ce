"""Talking to the running supervisor, through its socket. Starts none; `up` does."""

import http.client
import xmlrpc.client
from pathlib import Path
from typing import Any

import msgspec
from seve_runtime.errors import SeveError
from supervisor.xmlrpc import Faults, SupervisorTransport

from seve_embedded.plan import EXIT_BAD_SETTINGS


class NoSupervisor(SeveError):
    """Nothing answers at the socket."""


class SupervisorRefused(SeveError):
    """The supervisor answered, and would not."""


class ProcessState(msgspec.Struct, frozen=True, kw_only=True):
    """The supervisor's state of one program. Times are in seconds since 1970."""

    name: str
    statename: str
    pid: int
    start: int
    now: int
    exitstatus: int
    spawnerr: str

    @property
    def running(self) -> bool:
        """Whether the process is there, however young."""
        return self.statename in ("RUNNING", "STARTING")

    @property
    def given_up(self) -> bool:
        """Whether the supervisor will not start it again by itself."""
        ended = self.statename == "EXITED" and self.exitstatus == EXIT_BAD_SETTINGS
        return ended or self.statename in ("FATAL", "UNKNOWN")


class Supervisor:
    """One supervisor. Every method raises NoSupervisor where it does not answer."""

    def __init__(self, socket: Path) -> None:
        transport = SupervisorTransport(None, None, serverurl=f"unix://{socket}")
        self._calls = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)

    def states(self) -> dict[str, ProcessState]:
        """Every program by name."""
        found = msgspec.convert(self._call("getAllProcessInfo"), list[ProcessState])
        return {state.name: state for state in found}

    def reread(self) -> tuple[list[str], list[str], list[str]]:
        """Read the configuration again; return the groups that were added, changed and removed, none applied yet."""
        [[added, changed, removed]] = self._call("reloadConfig")
        return added, changed, removed

    def stop(self, name: str) -> None:
        """Ask a program to stop, and see that nobody starts it again; does not wait for it."""
        self._call("stopProcess", name, False, unless=Faults.NOT_RUNNING)

    def add(self, name: str) -> None:
        """Take up a program that the configuration has gained, and start it."""
        self._call("addProcessGroup", name)
        self.start(name)

    def remove(self, name: str) -> None:
        """Drain and forget a program that the configuration has lost."""
        self._call("stopProcessGroup", name)
        self._call("removeProcessGroup", name)

    def start(self, name: str) -> None:
        """Start a program, if it does not run already; does not wait for it."""
        self._call("startProcess", name, False, unless=Faults.ALREADY_STARTED)

    def _call(self, method: str, *arguments: object, unless: int | None = None) -> Any:
        try:
            return getattr(self._calls.supervisor, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != unless:
                raise SupervisorRefused(f"the supervisor refuses {method} {arguments}: {fault.faultString}") from fault
            return None
        except (OSError, http.client.HTTPException) as error:
            raise NoSupervisor(str(error)) from error
