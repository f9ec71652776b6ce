"""The README and the pages agree with the code."""

import re
from pathlib import Path

import pytest
import settings_table

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", settings_table.tables(), ids=lambda page: page.parent.name)
def test_a_table_of_settings_is_that_of_the_code(page):
    """Names, defaults and descriptions; `python tests/settings_table.py` writes it."""
    assert settings_table.in_page(page) == settings_table.tables()[page]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_links_to_files_that_exist(page):
    """Links into the repository, by file."""
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    inside = [target for target in targets if "://" not in target]
    assert [target for target in inside if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", sorted(ROOT.glob("*/*/README.md")), ids=lambda page: page.parent.name)
def test_a_package_readme_names_files_that_exist(page):
    """Files are named by their path below the package, such as `nats/direct.py`."""
    [package] = page.parent.glob("src/*/") if (page.parent / "src").exists() else [page.parent]
    named = re.findall(r"`([\w/]+\.py)`", page.read_text(encoding="utf-8"))
    places = (package, page.parent, ROOT, ROOT / "tests" / "bench")
    assert [name for name in named if not any((place / name).exists() for place in places)] == []
