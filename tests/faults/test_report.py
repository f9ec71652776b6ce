"""The crash matrix as files, and its rows that were not run."""

import json
from xml.etree import ElementTree as ET

from faults.report import write
from faults.verdict import NotRun, table

from .test_crash_matrix import A, B, cell, sample


def test_rows_come_as_json_markdown_and_a_plot(tmp_path):
    rows = [cell(), cell(unstored=[A])._replace(first=1.5, longest=2.5), NotRun("nats", "ahead", "no | clock")]
    write(tmp_path, rows, "seed 1")
    told = json.loads((tmp_path / "faults.json").read_text())
    assert [(row["part"], row["lost"], row["complaints"], row["run"]) for row in told["rows"]] == [
        ("writer", 0, [], True),
        ("writer", 1, ["1 LOST"], True),
        ("nats", "-", [], False),
    ]
    assert told["rows"][1]["first row"] == 1.5
    assert (tmp_path / "faults.md").read_text().splitlines()[-1].count("|") == 12
    assert len(ET.parse(tmp_path / "faults.svg").getroot().findall(".//{*}text")) == 1 + 2 * len(rows)


def test_a_row_that_was_not_run_says_why_and_is_no_complaint():
    row = NotRun("nats", "ahead", "no clock")
    assert table([row]).splitlines()[1].split() == ["nats", "ahead", *["-"] * 8, "not", "run:", "no", "clock"]
    assert row.complaints == []


def test_what_a_damaged_journal_lost_has_to_be_named_exactly():
    """Fewer sequences named are a complaint, and so are more."""
    gone = [sample(1, A), sample(2, B)]
    lost = cell(unstored=[A, B])._replace(gone=gone, named=frozenset({1, 2}))
    assert (lost.lost, lost.complaints) == (0, [])
    assert lost.verdict == "kept; 2 lost with the file, all of its 2 messages named"
    for named in ({1}, {1, 2, 3}):
        assert lost._replace(named=frozenset(named)).complaints == ["1 gone sequences not named, or named and not gone"]


def test_a_sample_that_was_not_in_the_damaged_part_is_lost():
    assert cell(unstored=[A, B])._replace(gone=[sample(1, A)], named=frozenset({1})).complaints == ["1 LOST"]
