"""Rows of figures as a table for a terminal."""

from collections.abc import Sequence
from typing import NamedTuple

GAP = "  "
WIDTH = 120


class Column(NamedTuple):
    """A heading, where its figure is in a row (`frame_ms.p99`), and how many decimals it has."""

    heading: str
    key: str
    decimals: int = 0


def figure(row: dict, key: str):
    """The value at a path of keys, or None."""
    found = row
    for part in key.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def table(columns: Sequence[Column], rows: Sequence[dict]) -> str:
    """Columns that no row has a figure for are left out; what is too wide goes below, behind the first column again."""
    shown = [column for column in columns if any(figure(row, column.key) is not None for row in rows)]
    lines = [[column.heading for column in shown]]
    lines += [[_cell(figure(row, column.key), column.decimals) for column in shown] for row in rows]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    blocks = [[0]]
    for place in range(1, len(shown)):
        if sum(widths[each] + len(GAP) for each in blocks[-1]) + widths[place] > WIDTH:
            blocks.append([0])
        blocks[-1].append(place)
    return "\n\n".join(
        "\n".join(GAP.join(line[place].rjust(widths[place]) for place in block).rstrip() for line in lines)
        for block in blocks
    )


def _cell(value, decimals: int) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,.{decimals}f}" if isinstance(value, int | float) else str(value)
