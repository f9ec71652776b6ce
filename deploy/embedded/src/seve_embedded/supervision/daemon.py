"""The supervisor as a program: `python -m seve_embedded.supervision.daemon`, with the arguments of supervisord.

Where it cannot write a log it says so on stderr; where that is on the same full disk, saying so failed as well, and it
stopped reading what that program writes. The program then stood still as soon as the pipe was full.
"""

import sys
from contextlib import suppress
from typing import Final, TextIO

from supervisor import supervisord


class Unfailing:
    """A stream of text on which writing never fails: what does not fit on the disk is not written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream: Final = stream

    def write(self, text: str) -> int:
        """Write what can be written."""
        with suppress(OSError):
            self._stream.write(text)
            self._stream.flush()
        return len(text)

    def flush(self) -> None:
        """`write` has done it."""


if __name__ == "__main__":
    sys.stderr = Unfailing(sys.stderr)
    supervisord.main()
