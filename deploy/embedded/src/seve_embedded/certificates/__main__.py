"""`python -m seve_embedded.certificates`: issues certificates in a container, for a host without the library. Reads
JSON from stdin, with `held`, `names`, `devices` and `renew`; writes JSON, the files to write. Keys pass through pipes
only.
"""

import json
import sys
from datetime import UTC, datetime

from seve_embedded.certificates.issue import CannotIssue, issue


def main() -> int:
    """Answer one request; return the exit code."""
    request = json.load(sys.stdin)
    try:
        written = issue(**request, now=datetime.now(UTC))
    except (CannotIssue, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    json.dump(written, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
