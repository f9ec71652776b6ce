"""The names of simulated modules: `seve-simulate` makes them, and `forget --simulated` removes whatever has one."""

from typing import Final

NAME: Final = "^sim-[0-9a-f]{6}-[0-9]{3,}$"
"""A regular expression in the words that Python and PostgreSQL share."""


def simulated_name(run: str, number: int) -> str:
    """Return the name of a module of a run, whose own name is six hexadecimal digits."""
    return f"sim-{run}-{number:03d}"
