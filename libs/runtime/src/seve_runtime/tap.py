"""The options of every `tap`, and its output, which is bounded in width and in messages per second. Reads no messages.

Bound: `--rate` messages per second; overflow rule: drop; counter: the number is shown before the next message.
"""

import argparse
import shutil
import time
from collections.abc import Callable, Sequence
from typing import Final

from seve_runtime.rate_limit import TokenBucket
from seve_runtime.terminal import visible

RATE: Final = 20.0
WIDE: Final = 200
"""Columns of a line if stdout is no terminal."""


def arguments(parser: argparse.ArgumentParser, places: Sequence[str]) -> None:
    """Add the options of a tap that can look at `places`; the first is the default."""
    parser.add_argument("--at", choices=places, default=places[0], help=f"where to look [{places[0]}]")
    parser.add_argument("--module", action="append", default=[], help="only this module; can be repeated")
    parser.add_argument("--rate", type=_rate, default=RATE, help=f"most messages per second that are shown [{RATE:g}]")
    parser.add_argument("--width", type=int, default=0, help="columns to cut lines to [the terminal's]")
    parser.add_argument("--count", type=int, default=0, help="end after so many messages [never]")


class Enough(Exception):
    """The number of messages that `--count` names has been shown."""


class Printer:
    """Prints messages, each a block of lines, through `say`. Ask `room` before formatting a message."""

    def __init__(
        self,
        options: argparse.Namespace,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._say = say
        self._clock = clock
        self._bucket = TokenBucket(options.rate, max(options.rate, 1.0), clock())
        self._rate = options.rate
        self._width = options.width or shutil.get_terminal_size((WIDE, 0)).columns
        self._left = options.count or -1
        self._missed = 0

    def room(self) -> bool:
        """Return whether one more message may be shown now; count it if not."""
        allowed = self._bucket.allows(self._clock())
        self._missed += not allowed
        return allowed

    def show(self, lines: Sequence[str]) -> None:
        """Print a message: its first line, and the others indented below. Raises Enough after `--count` messages."""
        self._show_missed()
        first, *rest = lines
        for line in (first, *(f"    {each}" for each in rest)):
            self._say(self._cut(visible(line)))
        self._left -= 1
        if not self._left:
            raise Enough

    def missed(self, number: int) -> None:
        """Count messages that the reader has skipped."""
        self._missed += number

    def _show_missed(self) -> None:
        if self._missed:
            self._say(f"… {self._missed:,} more, not shown (at most {self._rate:g} per second: --rate)")
            self._missed = 0

    def _cut(self, line: str) -> str:
        return line if len(line) <= self._width else f"{line[: self._width - 1]}…"


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= 10_000:
        raise argparse.ArgumentTypeError("expected messages per second, more than 0 and at most 10000")
    return rate
