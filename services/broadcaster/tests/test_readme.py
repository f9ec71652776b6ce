"""The settings table of the README is the settings."""

import re
from pathlib import Path

from seve_broadcaster.settings import Settings
from seve_runtime.settings import describe

README = Path(__file__).parent.parent / "README.md"


def test_the_table_lists_every_setting_with_its_default_and_purpose():
    """In the order of the code."""
    rows = re.findall(r"^\| `([A-Z_]+)` \| (?:`(.*?)`)? *\| (.*) \|$", README.read_text(), re.MULTILINE)
    expected = [(row.name, row.default or "", row.description) for row in describe(Settings)]
    assert expected == rows
