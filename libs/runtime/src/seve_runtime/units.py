"""Durations, sizes and listen addresses as settings write them.

Imports the standard library only: the container side of the stack runs on a bare Python and reads settings with it.
"""

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Final

DAY: Final = 86400.0
DURATION: Final = "a duration with its unit, such as 500ms, 5s, 10m, 2h or 90d"
SIZE: Final = "a size with its unit, such as 64KiB, 256MiB or 2GiB"
LISTEN_ADDRESS: Final = "host:port, such as 127.0.0.1:1883, or 0.0.0.0:1883 for every address; a port is at most 65535"

_SECONDS_OF: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": DAY}
_BYTES_OF: Final = {"B": 1.0, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_QUANTITY: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)")
_LISTEN: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]*):([0-9]{1,5})")


def seconds(text: str) -> float:
    """Return the seconds of a duration such as `10m`. Raises ValueError, also for a number without a unit except 0."""
    return _quantity(text, _SECONDS_OF, DURATION)


def size(text: str) -> int:
    """Return the bytes of a size such as `64MiB`. Raises ValueError, also for a number without a unit except 0."""
    return int(_quantity(text.lower(), {unit.lower(): factor for unit, factor in _BYTES_OF.items()}, SIZE))


def duration_text(value: float) -> str:
    """Return seconds in the largest unit that divides them."""
    return _in_units(value, _SECONDS_OF, "s")


def size_text(value: float) -> str:
    """Return bytes in the largest unit that divides them."""
    return _in_units(value, _BYTES_OF, "B")


def listen(text: str) -> str:
    """Return a listen address unchanged. Raises ValueError."""
    match = _LISTEN.fullmatch(text)
    if match is None or int(match[2]) > 65535:
        raise ValueError(f"expected {LISTEN_ADDRESS}")
    return text


def split_listen(text: str) -> tuple[str, int]:
    """Return host and port of a listen address; an empty host means every address."""
    host, _, port = text.rpartition(":")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104  (an empty host asks for it)


def is_loopback(text: str) -> bool:
    """Return whether a listen address is reachable only from this machine; False for any name but `localhost`."""
    host, _ = split_listen(text)
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:  # a name may resolve to any address
        return False


def reachable(host: str) -> str:
    """Return the address at which this machine reaches a listener on `host`, in the form of URLs."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  (recognised, not listened on)
    return f"[{host}]" if ":" in host else host


def _quantity(text: str, units: Mapping[str, float], expected: str) -> float:
    match = _QUANTITY.fullmatch(text.strip())
    if match and not match[2] and float(match[1]) == 0:
        return 0.0
    factor = units.get(match[2]) if match else None
    if match is None or factor is None:
        raise ValueError(f"expected {expected}")
    return float(match[1]) * factor


def _in_units(value: float, units: Mapping[str, float], smallest: str) -> str:
    for unit, factor in sorted(units.items(), key=lambda pair: -pair[1]):
        if value >= factor and value % factor == 0:
            return f"{value / factor:g}{unit}"
    return f"{value:g}{smallest}"
