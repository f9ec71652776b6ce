"""The command `seve-history`."""

import sys

from seve_runtime.nats.connection import NatsSettings, tls_options
from seve_runtime.service import serve

from seve_history.app import app
from seve_history.settings import HistorySettings

SUMMARY = "Answer questions of history from PostgreSQL, over NATS. Reads only."


def main() -> int:
    """Run the history service."""
    return serve("seve-history", SUMMARY, HistorySettings, app, sys.argv[1:], uses={NatsSettings: tls_options})


if __name__ == "__main__":
    sys.exit(main())
