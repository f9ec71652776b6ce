"""The supervisor as a program: `python -m seve_embedded.supervision.daemon`, with the arguments of supervisord.

If supervisord cannot write a log, it reports that on stderr. With stderr on the same full disk, the report would fail
too, and supervisord would stop reading the program's output; the program would then block as soon as its pipe was full.
So writes to stderr never fail here.
"""

import sys
from contextlib import suppress
from typing import Final, TextIO

from supervisor import supervisord


class Unfailing:
    """A text stream on which writing never fails: text that does not fit on the disk is dropped."""

    def __init__(self, stream: TextIO) -> None:
        self._stream: Final = stream

    def write(self, text: str) -> int:
        """Write as much as possible."""
        with suppress(OSError):
            self._stream.write(text)
            self._stream.flush()
        return len(text)

    def flush(self) -> None:
        """Do nothing: `write` has flushed."""


if __name__ == "__main__":
    sys.stderr = Unfailing(sys.stderr)
    supervisord.main()
