"""The start of `./seve`: puts both modes of the stack on the path and dispatches. Imports only the standard library."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [
    str(ROOT / folder)
    for folder in ("deploy/docker/src", "deploy/embedded/src", "libs/runtime/src", "services/ingest/src")
]

from seve_docker.commands import Containers
from seve_embedded.cli.dispatch import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], ROOT, Containers))
