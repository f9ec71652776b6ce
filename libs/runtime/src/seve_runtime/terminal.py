"""Makes text of devices safe to print: a character that would control the terminal or reorder the line is shown as its
code.

Imports the standard library only: the container side of the stack runs on a bare Python and shows logs with it.
"""

import unicodedata
from typing import Final

_CONTROL: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Control and format characters, lone surrogates, and separators of lines and paragraphs."""


def visible(text: str) -> str:
    """Return `text` in one line, with each control character as its code, in the form of JSON."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(f"\\u{ord(each):04x}" if unicodedata.category(each) in _CONTROL else each for each in text)
