"""The command `seve-broadcaster`."""

import sys

from seve_runtime.service import serve

from seve_broadcaster.app import run
from seve_broadcaster.auth.dev_token import mint
from seve_broadcaster.auth.jwt import Keys
from seve_broadcaster.settings import AuthSettings, Settings

SUMMARY = """Serve the stream to WebSocket clients: the present on subscribing, then every message.
`seve-broadcaster token --help`: make a token for development."""


def main() -> int:
    """Run the broadcaster, or one of its commands."""
    if sys.argv[1:2] == ["token"]:
        return mint(sys.argv[2:])
    return serve("seve-broadcaster", SUMMARY, Settings, run, sys.argv[1:], uses={AuthSettings: Keys})


if __name__ == "__main__":
    sys.exit(main())
