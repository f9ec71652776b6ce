"""The rows of the crash matrix as files: JSON for programs, Markdown, and a plot of how long each took to come back."""

import json
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from faults.verdict import HEADS, Cell, Row, texts

WIDTH, LEFT, LINE = 900, 220, 18
HEAD = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" font-family="sans-serif" font-size="11">'
TITLE = "Seconds from a fault to the first row, before the slowest ({})"
KEPT, BROKEN, SLOWEST, NOT_RUN = "#2f8f46", "#c2335d", "#cfd8dc", "#b0b0b0"


def write(folder: Path, rows: Sequence[Row], about: str) -> None:
    """Write `faults.json`, `faults.md` and `faults.svg`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "faults.json").write_text(json.dumps({"about": about, "rows": [values(row) for row in rows]}, indent=1))
    (folder / "faults.md").write_text(markdown(rows, about))
    (folder / "faults.svg").write_text(svg(rows, about))


def values(row: Row) -> dict[str, object]:
    """A row for programs: times in seconds, None where there is none."""
    found: dict[str, object] = dict(zip(HEADS, texts(row), strict=True))
    if isinstance(row, Cell):
        found |= {name: int(str(found[name])) for name in ("sent", "twice", "lost", "seen", "gaps")}
        found |= {"stored": row.stored, "first row": row.first, "slowest": row.longest}
    return {**found, "complaints": row.complaints, "run": isinstance(row, Cell)}


def markdown(rows: Sequence[Row], about: str) -> str:
    """The table of a README."""
    lines = [HEADS, ["---"] * len(HEADS), *map(texts, rows)]
    return "\n".join([about, "", *(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines), ""])


def svg(rows: Sequence[Row], about: str) -> str:
    """A bar per row: from the fault to the first row of a sample sent after it, before the slowest of all samples."""
    most = max((row.longest or 0 for row in rows if isinstance(row, Cell)), default=0) or 1
    scale, height = (WIDTH - LEFT - 60) / most, LINE * (len(rows) + 3)
    parts = [
        HEAD.format(WIDTH, height),
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="10" y="18" font-size="13">{escape(TITLE.format(about))}</text>',
    ]
    for number, row in enumerate(rows, 2):
        parts += _bar(row, number * LINE, scale)
    return "\n".join([*parts, "</svg>\n"])


def _bar(row: Row, top: int, scale: float) -> list[str]:
    parts = [f'<text x="{LEFT - 8}" y="{top + 11}" text-anchor="end">{row.part} {row.fault}</text>']
    if not isinstance(row, Cell):
        return [*parts, f'<text x="{LEFT}" y="{top + 11}" fill="{NOT_RUN}">not run</text>']
    colour = BROKEN if row.complaints else KEPT
    for value, shade in ((row.longest, SLOWEST), (row.first, colour)):
        if value is not None:
            width = max(1.0, value * scale)
            parts.append(f'<rect x="{LEFT}" y="{top}" width="{width:.1f}" height="{LINE - 4}" fill="{shade}"/>')
    shown = "never" if row.first is None else f"{row.first:.1f} s"
    end = LEFT + max(0.0, row.longest or 0) * scale + 6
    return [*parts, f'<text x="{end:.1f}" y="{top + 11}">{shown}</text>']
