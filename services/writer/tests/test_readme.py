"""The settings table of the README is the settings."""

import re
from pathlib import Path

from seve_runtime.settings import describe
from seve_writer.settings import WriterSettings

README = Path(__file__).parent.parent / "README.md"


def test_the_table_lists_every_setting_with_its_default_and_purpose():
    """In the order of the code."""
    rows = re.findall(r"^\| `([A-Z_]+)` \| (required|`.*?`)? *\| (.*) \|$", README.read_text(), re.MULTILINE)
    expected = [(row.name, shown(row.default), row.description) for row in describe(WriterSettings)]
    assert expected == rows


def shown(default):
    return "required" if default is None else f"`{default}`" if default else ""
