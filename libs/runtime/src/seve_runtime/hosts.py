"""The `Host` header: whether a request names this server, or a name that was made to point here (DNS rebinding)."""

from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit


def host_allowed(host: str | None, allowed: Iterable[str]) -> bool:
    """Tell whether a `Host` header names this server: a literal address, `localhost`, or one of the names allowed.

    Any other name may be a foreign page's, made to point here (DNS rebinding); a literal address cannot be.
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
