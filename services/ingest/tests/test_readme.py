"""The README is held against the code."""

import re
from pathlib import Path

from seve_ingest.settings import Settings
from seve_runtime.settings import describe

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_settings_table_is_the_code_s():
    """Every variable with its default and its description, in order."""
    wanted = [
        f"| `{row.name}` | {f'`{row.default}`' if row.default else ''} | {row.description} |"
        for row in describe(Settings)
    ]
    assert wanted == [line for line in README.splitlines() if re.match(r"\| `[A-Z_]+` \|", line)]
