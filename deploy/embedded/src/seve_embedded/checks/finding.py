"""One finding of `check`, shown as a line with the command that mends it. Pure; standard library only."""

from collections.abc import Sequence
from typing import Final, NamedTuple

FAULT: Final = "fault"
WARNING: Final = "warning"


class Finding(NamedTuple):
    """A fault, its area, and the command or the setting that mends it. A warning lets the stack run."""

    area: str
    what: str
    mend: str
    weight: str = FAULT


def report(findings: Sequence[Finding], facts: Sequence[str]) -> str:
    """Return one line per finding, faults first, then a summary of what was checked."""
    ordered = sorted(findings, key=lambda one: one.weight != FAULT)
    lines = [f"{one.weight:<8} {one.area:<12} {one.what}  ->  {one.mend}" for one in ordered]
    faults = sum(one.weight == FAULT for one in findings)
    counted = f"{_count(faults, FAULT)}, {_count(len(findings) - faults, WARNING)}" if findings else "nothing found"
    return "\n".join([*lines, f"Checked {', '.join(facts)}: {counted}."])


def exit_code(findings: Sequence[Finding]) -> int:
    """Return 1 if there is a fault, else 0: warnings do not count."""
    return int(any(one.weight == FAULT for one in findings))


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
