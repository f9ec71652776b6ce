"""The command `seve-broadcaster`."""

import sys
from collections.abc import Callable
from typing import Any, Final

from seve_runtime.nats.connection import NatsSettings, tls_options
from seve_runtime.service import serve

from seve_broadcaster.app import run
from seve_broadcaster.auth.dev_token import mint
from seve_broadcaster.auth.jwt import Keys
from seve_broadcaster.settings import AuthSettings, Settings
from seve_broadcaster.websocket.tls import check

SUMMARY = """Serve the stream to WebSocket clients: a snapshot on subscribing, then every message.
`seve-broadcaster token --help`: make a token for development."""

USES: Final[dict[type[Any], Callable[[Any], object]]] = {AuthSettings: Keys, NatsSettings: tls_options, Settings: check}
"""The checks of `--check`, by group of settings."""


def main() -> int:
    """Run the broadcaster, or one of its commands."""
    if sys.argv[1:2] == ["token"]:
        return mint(sys.argv[2:])
    return serve("seve-broadcaster", SUMMARY, Settings, run, sys.argv[1:], uses=USES)


if __name__ == "__main__":
    sys.exit(main())
