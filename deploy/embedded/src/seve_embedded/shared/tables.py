"""Text tables for a terminal. Pure."""

import re
from collections.abc import Sequence
from typing import Final

_NUMBER: Final = re.compile(r"|-|~?[0-9][0-9,.]*( (%|B|[KMGT]iB))?")


def table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a titled table: columns as wide as their widest cell, numbers aligned right, the last column not
    padded.
    """
    if not rows:
        return ""
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
    right = [all(_number(row[column]) for row in rows) for column in range(len(heads))]
    lines = [
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        )
        for row in (heads, *rows)
    ]
    rule = "  ".join("─" * width for width in widths)
    head, *rest = (f"  {line}".rstrip() for line in lines)
    return "\n".join([title, head, f"  {rule}", *rest])


def _number(cell: str) -> bool:
    return _NUMBER.fullmatch(cell) is not None


def size(count: int) -> str:
    """Return a number of bytes as text for a person."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def duration(seconds: float) -> str:
    """Return a time span as text for a person."""
    whole = int(seconds)
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days}d {hours}h"
    if hours:
        return f"{hours}h {minutes}m"
    return f"{minutes}m {whole % 60}s" if minutes else f"{whole}s"
