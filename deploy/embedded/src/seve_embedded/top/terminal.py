"""The terminal's control sequences that `top` uses. Plain ANSI; pure, standard library only, for both modes."""

from collections.abc import Sequence
from typing import Final

ENTER: Final = "\x1b[?1049h\x1b[?25l"
"""Switches to the terminal's alternate screen, without a cursor."""

LEAVE: Final = "\x1b[?25h\x1b[?1049l"
"""Switches back to the screen before."""


def drawn(lines: Sequence[str]) -> str:
    """Return the text that draws lines over the previous ones: clears the rest of each line, and all below."""
    body = "\r\n".join(f"{line}\x1b[K" for line in lines)
    return f"\x1b[H{body}\x1b[J"
