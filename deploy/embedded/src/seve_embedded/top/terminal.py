"""The terminal's words that `top` uses. Plain ANSI; pure, standard library only, for both modes."""

from collections.abc import Sequence
from typing import Final

ENTER: Final = "\x1b[?1049h\x1b[?25l"
"""To the terminal's other screen, without a cursor."""

LEAVE: Final = "\x1b[?25h\x1b[?1049l"
"""Back to what was there before."""


def drawn(lines: Sequence[str]) -> str:
    """Lines drawn over those before: each is cleared behind its end, and what is below them."""
    body = "\r\n".join(f"{line}\x1b[K" for line in lines)
    return f"\x1b[H{body}\x1b[J"
