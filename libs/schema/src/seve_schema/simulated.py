"""The names of simulated modules: `seve-simulate` uses them, and `forget --simulated` removes all modules that have
such a name.
"""

from typing import Final

NAME: Final = "^sim-[0-9a-f]{6}-[0-9]{3,}$"
"""A regular expression in the syntax that Python and PostgreSQL share."""


def simulated_name(run: str, number: int) -> str:
    """Return the name of module `number` of a run; `run` is six hexadecimal digits."""
    return f"sim-{run}-{number:03d}"
