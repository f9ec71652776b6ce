"""What every `tap` has in common: its options, and a screen that is bounded in width and in messages per second.

Reads nothing. Not shown: bound `--rate` per second; overflow rule: drop; counter: told with the next that is shown.
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
"""Columns where nobody has a terminal."""


def arguments(parser: argparse.ArgumentParser, places: Sequence[str]) -> None:
    """Add the options of a tap that can be put at `places`, the first unless another is named."""
    parser.add_argument("--at", choices=places, default=places[0], help=f"where to look [{places[0]}]")
    parser.add_argument("--module", action="append", default=[], help="only this module; may be said several times")
    parser.add_argument("--rate", type=_rate, default=RATE, help=f"most messages per second that are shown [{RATE:g}]")
    parser.add_argument("--width", type=int, default=0, help="columns to cut lines to [the terminal's]")
    parser.add_argument("--count", type=int, default=0, help="end after so many messages [never]")


class Enough(Exception):
    """As many messages as were asked for are shown."""


class Printer:
    """Shows messages, each a block of lines, through `say`: ask `room` for each before working out what to show."""

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
        """Tell whether one more message may be shown now; if not, it is counted."""
        allowed = self._bucket.allows(self._clock())
        self._missed += not allowed
        return allowed

    def show(self, lines: Sequence[str]) -> None:
        """Show a message, its first line with the others below it. Raises Enough after as many as were asked for."""
        self._tell_missed()
        first, *rest = lines
        for line in (first, *(f"    {each}" for each in rest)):
            self._say(self._cut(visible(line)))
        self._left -= 1
        if not self._left:
            raise Enough

    def missed(self, number: int) -> None:
        """Count messages that were passed over before they came here."""
        self._missed += number

    def _tell_missed(self) -> None:
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
        raise argparse.ArgumentTypeError("a number of messages per second, above 0")
    return rate
