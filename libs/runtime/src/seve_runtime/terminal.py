"""Text of devices on a terminal: what would steer the terminal or reorder its line is shown as its code.

Imports the standard library only: the container side of the stack runs on a bare Python and shows logs by it.
"""

import unicodedata
from typing import Final

_STEERING: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Control and format characters, lone surrogates, and separators of lines and paragraphs."""


def visible(text: str) -> str:
    """Return `text` in one line; a character that a terminal would obey is its code, as JSON writes it."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(f"\\u{ord(each):04x}" if unicodedata.category(each) in _STEERING else each for each in text)
