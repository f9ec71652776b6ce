"""Checks that the stack's ports are free before anything starts, so that the error names the setting to change.

Docker mode runs this on a Python without packages, which cannot find the process that has a port.
"""

import errno
import socket
from collections.abc import Iterable

from seve_runtime.errors import SettingsError

try:
    import psutil
except ModuleNotFoundError:
    psutil = None


def check(listeners: Iterable[tuple[str, str, int]]) -> None:
    """Raise SettingsError with one fault for each address (setting, host, port) that is taken."""
    faults: list[str] = []
    seen: dict[int, str] = {}
    for setting, host, port in listeners:
        if port in seen:
            faults.append(f"{setting}: port {port} is already given by {seen[port]}")
        elif fault := _fault(host, port):
            faults.append(f"{setting}: {host}:{port} {fault}; set {setting} to another, here or in .env")
        seen.setdefault(port, setting)
    if faults:
        raise SettingsError(faults)


def _fault(host: str, port: int) -> str | None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OverflowError:
            return "cannot be listened on: a port is at most 65535"
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return f"cannot be listened on: {error.strerror}"
            return f"is taken{_by_whom(port)}"
    return None


def _by_whom(port: int) -> str:
    """Return ` by NAME, pid N` of the process that listens there; empty if this user may not see it."""
    if psutil is None:
        return ""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
                process = psutil.Process(connection.pid) if connection.pid else None
                return f" by {process.name()}, pid {process.pid}" if process else ""
    except psutil.Error:
        return ""
    return ""


def accepts(host: str, port: int) -> bool:
    """Return whether a program accepts connections there."""
    try:
        socket.create_connection((host.strip("[]"), port), timeout=1).close()
    except OSError:
        return False
    return True
