"""The index of docs/decisions, made from the pages: `python tests/decisions_index.py` writes it."""

import re
from itertools import groupby
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "docs" / "decisions"
INDEX = FOLDER / "README.md"
AREAS = {
    "01": "Ingest",
    "02": "Writer",
    "03": "Broadcaster",
    "04": "Live page",
    "05": "Embedded stack",
    "06": "Simulated fleet",
    "07": "Containers",
    "08": "Libraries",
    "09": "The whole pipeline",
    "10": "History",
}
INTRODUCTION = """# Decisions

Why things are as they are, one page each. A page has a status (accepted, or superseded by another), the date of the
decision, and the headings Context, Decision, Rejected, Consequences. It is not rewritten when the world changes: a new
page supersedes it. The first two digits are the area; take the next free number in it, and run `make format`, which
writes this index.
"""
HEAD = re.compile(r"# (\d{4}): (.+)\n\n- Status: (.+(?:\n  .+)*)\n- Date: (\d{4}-\d\d-\d\d)\n\n## Context\n")


def pages():
    """The decisions, in the order of their numbers."""
    return sorted(FOLDER.glob("[0-9]*.md"))


def index():
    """The whole index."""
    parts = [INTRODUCTION]
    for area, group in groupby(pages(), key=lambda path: path.name[:2]):
        name = AREAS.get(area, "Further")
        parts.append(f"\n## {name}\n\n| | decision | status | date |\n|---|---|---|---|\n")
        parts.extend(_row(path) for path in group)
    return "".join(parts)


def _row(path):
    head = HEAD.match(path.read_text(encoding="utf-8"))
    if head is None:
        raise ValueError(f"{path.name} does not begin with number, title, status, date and context")
    number, title, status, date = head.groups()
    status = " ".join(status.split())
    return f"| [{number}]({path.name}) | {title} | {status} | {date} |\n"


if __name__ == "__main__":
    INDEX.write_text(index(), encoding="utf-8")
