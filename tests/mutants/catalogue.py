"""Mutants: the code with one guarantee broken on purpose, and the tests that have to notice.

A mutant is one textual replacement in one file. `tests/mutants/test_mutants.py` fails when the text is no longer there.
"""

from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]


class Mutant(NamedTuple):
    """`old` stands once in `file` and becomes `new`; one of `tests`, files or tests of pytest, has to fail."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def applied(self, source: str) -> str:
        """Return the source of `file` with the guarantee broken. Raises ValueError if it no longer applies."""
        if (count := source.count(self.old)) != 1:
            raise ValueError(f"{self.name}: its text stands {count} times in {self.file}, not once")
        return source.replace(self.old, self.new)
