"""Detects that another chip reports under the name of a module: two devices have one name, or its board was replaced.

Pure: compares the chips that a batch reports with the stored ones. Cannot tell which of the two cases it is. Refuses no
report; the newest one wins, as for every state.
"""

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import NamedTuple

from seve_writer.database.device_state import Patch

Chips = dict[str, tuple[str, ...]]
"""By module, the chip ids that a batch's reports name, in order and without consecutive repeats."""


class ChipChange(NamedTuple):
    """A module whose report names another chip than the report before."""

    module: str
    before: str
    now: str


def reported(patches: Iterable[Patch]) -> Chips:
    """Return the chips that the reports behind `patches` name. The patches are in the order of the journal."""
    chips: Chips = {}
    for patch in patches:
        chip = patch.columns.get("chip_id")
        if chip:
            module = str(patch.key[0])
            before = chips.get(module, ())
            if not before or before[-1] != chip:
                chips[module] = (*before, chip)
    return chips


def changes(chips: Mapping[str, tuple[str, ...]], stored: Mapping[str, str]) -> list[ChipChange]:
    """Return each change of chip: from a module's `stored` chip to its first reported one, and from each to the next.
    A module without a stored chip begins with its first reported one.
    """
    return [
        ChipChange(module, before, now)
        for module, names in chips.items()
        for before, now in pairwise((stored.get(module, names[0]), *names))
        if before != now
    ]
