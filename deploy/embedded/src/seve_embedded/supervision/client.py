"""The client of the running supervisor, through its socket. Starts none: `up` does. Waits for an answer for a bounded
time.
"""

import http.client
import socket
import xmlrpc.client
from pathlib import Path
from typing import Any, Final

import msgspec
from seve_runtime.errors import SeveError
from supervisor.xmlrpc import Faults

from seve_embedded.plan import EXIT_BAD_SETTINGS

PATIENCE: Final = 5.0
"""Seconds for an answer; the supervisor gives one in milliseconds."""


class NoSupervisor(SeveError):
    """Nothing answers at the socket."""


class SupervisorSilent(NoSupervisor):
    """The supervisor listens at the socket and does not answer in time."""


class SupervisorRefused(SeveError):
    """The supervisor refused a request."""


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
        """Whether the process exists, even if it has just started."""
        return self.statename in ("RUNNING", "STARTING")

    @property
    def given_up(self) -> bool:
        """Whether the supervisor has given the program up."""
        ended = self.statename == "EXITED" and self.exitstatus == EXIT_BAD_SETTINGS
        return ended or self.statename in ("FATAL", "UNKNOWN")


class Supervisor:
    """One supervisor. Every method raises NoSupervisor if it does not answer."""

    def __init__(self, address: Path) -> None:
        self._address = address

    def states(self) -> dict[str, ProcessState]:
        """Return the state of every program by name."""
        found = msgspec.convert(self._call("getAllProcessInfo"), list[ProcessState])
        return {state.name: state for state in found}

    def reread(self) -> tuple[list[str], list[str], list[str]]:
        """Read the configuration again; return the groups that were added, changed and removed, none applied yet."""
        [[added, changed, removed]] = self._call("reloadConfig")
        return added, changed, removed

    def stop(self, name: str) -> None:
        """Ask a program to stop, and have it not restarted; does not wait for its end."""
        self._call("stopProcess", name, False, unless=Faults.NOT_RUNNING)

    def add(self, name: str) -> None:
        """Add a program that is new in the configuration, and start it."""
        self._call("addProcessGroup", name)
        self.start(name)

    def remove(self, name: str, stop_seconds: float) -> None:
        """Drain and remove a program that is no longer in the configuration. It is killed after `stop_seconds`."""
        self._call("stopProcessGroup", name, patience=stop_seconds + PATIENCE)
        self._call("removeProcessGroup", name)

    def start(self, name: str) -> None:
        """Start a program, if it does not run already; does not wait for it."""
        self._call("startProcess", name, False, unless=Faults.ALREADY_STARTED)

    def _call(self, method: str, *arguments: object, unless: int | None = None, patience: float | None = None) -> Any:
        patience = PATIENCE if patience is None else patience
        transport = _UnixTransport(_UnixConnection(self._address, patience))
        try:
            with xmlrpc.client.ServerProxy("http://localhost", transport=transport) as calls:
                return getattr(calls.supervisor, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != unless:
                raise SupervisorRefused(f"the supervisor refuses {method} {arguments}: {fault.faultString}") from fault
            return None
        except TimeoutError as error:
            raise SupervisorSilent(
                f"the supervisor does not answer within {patience:g} s; `./seve down && ./seve up` replaces it"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise NoSupervisor(str(error)) from error


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a socket of the file system."""

    def __init__(self, address: Path, patience: float) -> None:
        super().__init__("localhost", timeout=patience)
        self._address = str(address)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._address)


class _UnixTransport(xmlrpc.client.Transport):
    """XML-RPC over one given connection."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        super().__init__()
        self._given = connection

    def make_connection(self, _host: object) -> http.client.HTTPConnection:
        return self._given

    def close(self) -> None:
        self._given.close()
