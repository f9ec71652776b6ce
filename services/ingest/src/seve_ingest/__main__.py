"""The command `seve-ingest`: runs the service."""

import sys

from seve_runtime.service import serve

from seve_ingest.app import app
from seve_ingest.settings import Settings


def main() -> int:
    """Run ingest; gives the exit code."""
    return serve("seve-ingest", "MQTT to JetStream.", Settings, app, sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
