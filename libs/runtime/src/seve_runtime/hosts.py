"""Checks the `Host` header of a request, as a guard against DNS rebinding. Resolves no names."""

from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit


def host_allowed(host: str | None, allowed: Iterable[str]) -> bool:
    """Return whether a `Host` header names this server: an IP address, `localhost`, or one of the names in `allowed`.

    Any other name may belong to a foreign page whose owner lets the name resolve to this server; the browser then lets
    that page read this server's answers (DNS rebinding). An IP address cannot be redirected.
    """
    name = _name_of(host)
    return name is not None and (name == "localhost" or _is_address(name) or name in {one.lower() for one in allowed})


def _name_of(host: str | None) -> str | None:
    if not host or any(sign in host for sign in "@/?#\\ "):
        return None
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return None
    return parts.hostname


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
