"""Decides which modules a client may see, and from which origins it may connect. Verifies no signature."""

from collections.abc import Iterable
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from seve_broadcaster.protocol.requests import EVERYTHING

DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class Grant(NamedTuple):
    """The modules that a client may see; None is all. `expires` is in seconds since 1970; None: never.

    `key` is the fingerprint of the key that verified the token; None if clients need no token.
    """

    modules: frozenset[str] | None = None
    expires: float | None = None
    key: bytes | None = None

    def allows(self, module: str) -> bool:
        """Return whether the client may see a module."""
        return self.modules is None or module in self.modules

    def resolve(self, asked: Iterable[str]) -> tuple[frozenset[str], frozenset[str]]:
        """Return the granted and the refused modules of a request; `*` is all that the client may see."""
        wanted = frozenset(asked)
        if self.modules is None:
            return wanted, frozenset()
        granted = wanted & self.modules
        if EVERYTHING in wanted:
            granted |= self.modules
        return granted, wanted - self.modules - {EVERYTHING}


def origin_allowed(origin: str | None, host: str | None, allowed: Iterable[str]) -> bool:
    """Return whether an `Origin` may connect: none (no browser), this server's own, or a listed one (`*` is any)."""
    if origin is None:
        return True
    choices = {one.rstrip("/").lower() for one in allowed}
    if "*" in choices or origin.lower() in choices:
        return True
    try:
        theirs, ours = urlsplit(origin), urlsplit(f"//{host}")
        port = theirs.port or DEFAULT_PORTS.get(theirs.scheme)
        same_port = port in DEFAULT_PORTS.values() if ours.port is None else port == ours.port
    except ValueError:
        return False
    same_host = theirs.hostname is not None and theirs.hostname == ours.hostname
    return theirs.scheme in DEFAULT_PORTS and same_host and same_port
