"""Metrics keep Prometheus' conventions, and their page is that of the code."""

import re
import shutil
import subprocess
from pathlib import Path

import metrics_table
import pytest
from prometheus_client import CollectorRegistry, generate_latest

ROOT = Path(__file__).parent.parent
ROWS = [(service, row) for service, found in metrics_table.SERVICES.items() for row in metrics_table.rows(found)]
NAMES = {row.name for _, row in ROWS}
PAGES = [*sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("services/*/README.md"))]


def test_the_page_is_that_of_the_code():
    """Names, types, units, labels and help; `python tests/metrics_table.py` writes it anew."""
    assert metrics_table.in_page() == metrics_table.table()


def test_every_service_is_in_it():
    """A service that counts has a table."""
    counting = {path.parent.name.removeprefix("seve_") for path in ROOT.glob("services/*/src/*/metrics.py")}
    assert set(metrics_table.SERVICES) == counting


@pytest.mark.parametrize(("service", "row"), ROWS, ids=lambda value: getattr(value, "name", ""))
def test_a_name_says_whose_it_is_and_in_which_unit(service, row):
    """A counter, and nothing else, ends in `_total`."""
    assert row.name.startswith(f"seve_{service}_")
    assert row.name.endswith("_total") == (row.type == "counter")
    assert row.unit
    assert row.help


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_names_metrics_that_are_there(page):
    """Every metric that a page names, with or without labels."""
    named = set(
        re.findall(r"`(seve_(?:ingest|writer|broadcaster|history)_[a-z_]+)[`{]", page.read_text(encoding="utf-8"))
    )
    assert {name for name in named if not (ROOT / "services" / name.split("_")[1] / "src" / name).exists()} <= NAMES


@pytest.mark.parametrize("service", ["writer", "broadcaster", "history"])
def test_a_readme_s_bounds_have_metrics_of_the_service(service):
    """Each bound names its metric in full, with labels that the metric has: it can be pasted into a query."""
    labels = {row.name: row.labels for owner, row in ROWS if owner == service}
    text = (ROOT / "services" / service / "README.md").read_text(encoding="utf-8")
    [bounds] = re.findall(r"^\|.*\| counted \|\n\|[-|]+\n((?:\|.*\n)+)", text, flags=re.MULTILINE)
    selectors = re.findall("`([^`]+)`", " ".join(line.split("|")[-2] for line in bounds.splitlines()))
    assert selectors
    for selector in selectors:
        name, _, matchers = selector.partition("{")
        assert name in labels, selector
        assert set(re.findall(r"(\w+)=", matchers)) <= set(labels[name]), selector


def test_promtool_finds_nothing_to_say():
    """Prometheus' own linter of names, units and help."""
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed: apt install prometheus")
    registry = CollectorRegistry()
    for collectors in metrics_table.SERVICES.values():
        for collector in collectors:
            registry.register(collector)
    told = subprocess.run(
        ["promtool", "check", "metrics"], input=generate_latest(registry), capture_output=True, check=False
    )
    assert (told.returncode, told.stdout + told.stderr) == (0, b"")
