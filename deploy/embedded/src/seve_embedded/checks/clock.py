"""Checks the clock: synchronised by NTP, and not behind the times of files that the stack wrote. Standard library
only.
"""

import ctypes
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from seve_embedded.checks.finding import WARNING, Finding

AREA: Final = "clock"
MEND: Final = "timedatectl set-ntp true"
AHEAD_SECONDS: Final = 60.0
_UNSYNCHRONISED: Final = 5
"""TIME_ERROR, adjtimex(2)."""


def check(now: float, written: Iterable[Path], *, synchronised: bool | None) -> list[Finding]:
    """Compare the time `now` (seconds since 1970) with the times of the files that the stack has `written`."""
    found = []
    ahead = max((path.stat().st_mtime - now for path in written if path.exists()), default=0.0)
    if ahead > AHEAD_SECONDS:
        what = f"the stack wrote files {ahead:,.0f} s ahead of now: the clock was set back, or is wrong"
        found.append(Finding(AREA, what, MEND))
    if synchronised is False:
        what = "the kernel calls it unsynchronised, and samples without a time get this one"
        found.append(Finding(AREA, what, MEND, WARNING))
    return found


def synchronised() -> bool | None:
    """Return whether the kernel reports its clock as synchronised; None if it reports nothing."""
    if sys.platform != "linux":
        return None
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(1024))  # all zeros: changes nothing
    return None if state < 0 else bool(state != _UNSYNCHRONISED)
