"""Finds names in `.env` that no part of Sève reads: misspelt settings. Imports the standard library only."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[5]
"""The checkout: `.env.example` and the Compose files name every setting; a test checks that."""

FILES: Final = (".env.example", "compose*.yaml")
_NAME: Final = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*\b")
_CLOSE: Final = 0.75

RETIRED: Final = {
    "DUPLICATE_WINDOW": "the journal recognises a repeated publish by its expected sequence, without a window",
    "HISTORY_MAX_MSGS_PER_SUBJECT": "the journal keeps stored messages up to HISTORY_MAX_BYTES, whatever their module",
}
"""Settings of earlier versions, and why they have no effect any more."""


def known(root: Path = ROOT) -> set[str]:
    """Return every name of a setting; empty if the files are missing, as in an installed wheel."""
    texts = [path.read_text(encoding="utf-8") for pattern in FILES for path in root.glob(pattern)]
    names = {name for text in texts for name in _NAME.findall(text)}
    return names | {name.removesuffix("_FILE") for name in names} | {f"{name}_FILE" for name in names}


def faults(names: Iterable[str], settings: set[str]) -> list[str]:
    """Return one fault for each name that is retired, or is not among `settings` and close to one that is."""
    unknown = [name for name in names if name not in settings]
    return [
        f"{name} is no longer a setting: {RETIRED[name]}"
        if name in RETIRED
        else f"{name} is unknown: did you mean {near[0]}?"
        for name in unknown
        if name in RETIRED or (near := get_close_matches(name.upper(), sorted(settings), 1, _CLOSE))
    ]


def unread(names: Iterable[str], settings: set[str]) -> list[str]:
    """Return the names that are not among `settings` and resemble none of them: they are a person's own, and only
    mentioned.
    """
    return [name for name in names if settings and name not in settings and not faults([name], settings)]
