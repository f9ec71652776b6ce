"""How much memory nats-server takes, in both modes: the settings of Go's garbage collector. Imports the standard
library only. Bounds nothing: the limit is soft, and what lives beyond it makes the collector take CPU, up to half.
"""

from collections.abc import Mapping
from typing import Final

from seve_runtime import units

DEFAULT: Final = 600 << 20
"""Enough for 8,000 devices at NATS' own listener: each has some 20 KB of live heap, and 20 to 40 KB of stacks. With
450 MiB they get their acknowledgements seconds late, and send messages again (docs/performance.md).
"""

LEAST: Final = 64 << 20
"""A server without clients lives in some 20 MB."""

CONTAINER_LEAST: Final = 1 << 30


def environment(limit: int) -> dict[str, str]:
    """Return the environment of nats-server with this limit in bytes.

    GOGC: a collection delays messages by some 20 ms, and by default there are several per second.
    """
    return {"GOGC": "400", "GOMEMLIMIT": f"{limit}B"}


def limit(environ: Mapping[str, str]) -> int:
    """Return NATS_MEMORY_BYTES. Raises ValueError, which does not name it."""
    found = units.size(environ.get("NATS_MEMORY_BYTES") or units.size_text(DEFAULT))
    if found < LEAST:
        raise ValueError(f"expected at least {units.size_text(LEAST)}")
    return found


def container(limit: int) -> int:
    """Return the most bytes of a container whose server has this limit, with room for what a burst adds to it."""
    return max(CONTAINER_LEAST, 2 * limit)
