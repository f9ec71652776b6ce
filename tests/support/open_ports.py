"""Finds the TCP ports of this machine that answer, by connecting to each. Leaves out servers of others: ports that
listened before, ports that the kernel attributes to other containers or to programs other than Docker's, and ports that
are closed again a moment later.
"""

import contextlib
import socket

import psutil

LOOPBACK = "127.0.0.1"
PROXY = "docker-proxy"


def addresses() -> set[str]:
    """Return the IPv4 addresses of this machine: loopback and all others, including bridges."""
    every = [one for several in psutil.net_if_addrs().values() for one in several]
    return {LOOPBACK, *(one.address for one in every if one.family == socket.AF_INET)}


def listening() -> dict[int, int | None]:
    """Return each listening port, with its process if this user may see it."""
    sockets = [one for one in psutil.net_connections("tcp") if one.status == psutil.CONN_LISTEN]
    return {one.laddr.port: one.pid for one in sockets}


def answering(before: set[int], containers: set[str]) -> set[tuple[str, int]]:
    """Return every address and port that accepts a connection, without ports that listened `before`. `containers` are
    the addresses of the containers in question.
    """
    ports = set(range(1, 65536)) - before - _elsewhere(containers)
    found = {(address, port) for address in addresses() for port in ports if _answers(address, port)}
    started = _elsewhere(containers)  # ports of others that were opened meanwhile
    return {(address, port) for address, port in found if port not in started and _answers(address, port)}


def _elsewhere(containers: set[str]) -> set[int]:
    return {port for port, pid in listening().items() if pid and not _for(containers, pid)}


def _for(containers: set[str], pid: int) -> bool:
    """Return whether a process may forward a port to one of these containers."""
    with contextlib.suppress(psutil.NoSuchProcess):
        words = psutil.Process(pid).cmdline()
        return bool(words) and words[0].endswith(PROXY) and not containers.isdisjoint(words)
    return False


def _answers(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        try:
            probe.connect((address, port))
        except OSError:
            return False
        return probe.getsockname() != probe.getpeername()  # a connection to a free port may connect to itself
