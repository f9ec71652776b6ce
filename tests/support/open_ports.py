"""Which TCP ports of this machine answer, found by knocking at each. Nobody else's server counts: not what listened
before, nor what the kernel says belongs to a program other than Docker's or to other containers, nor what is gone a
moment later.
"""

import contextlib
import socket

import psutil

LOOPBACK = "127.0.0.1"
PROXY = "docker-proxy"


def addresses() -> set[str]:
    """The IPv4 addresses of this machine: loopback and all others, bridges too."""
    every = [one for several in psutil.net_if_addrs().values() for one in several]
    return {LOOPBACK, *(one.address for one in every if one.family == socket.AF_INET)}


def listening() -> dict[int, int | None]:
    """Each port that somebody listens on, and the process where the kernel tells it to this user."""
    sockets = [one for one in psutil.net_connections("tcp") if one.status == psutil.CONN_LISTEN]
    return {one.laddr.port: one.pid for one in sockets}


def answering(before: set[int], containers: set[str]) -> set[tuple[str, int]]:
    """Every address and port that accepts a connection, of the ports that nobody listened on `before`. `containers` are
    the addresses of the containers that are asked about.
    """
    ports = set(range(1, 65536)) - before - _elsewhere(containers)
    found = {(address, port) for address in addresses() for port in ports if _answers(address, port)}
    started = _elsewhere(containers)  # while the others were knocked at
    return {(address, port) for address, port in found if port not in started and _answers(address, port)}


def _elsewhere(containers: set[str]) -> set[int]:
    return {port for port, pid in listening().items() if pid and not _for(containers, pid)}


def _for(containers: set[str], pid: int) -> bool:
    """Whether a process may be what forwards a port to one of these containers."""
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
        return probe.getsockname() != probe.getpeername()  # a port may meet itself
