"""Every decision has the same form, and the index lists it."""

import re

import decisions_index
import pytest

HEADINGS = ["Context", "Decision", "Rejected", "Consequences"]


@pytest.mark.parametrize("path", decisions_index.pages(), ids=lambda path: path.name[:4])
def test_a_decision_has_the_form_of_all(path):
    """Number as in its file's name, status, date, and four headings in one order."""
    text = path.read_text(encoding="utf-8")
    head = decisions_index.HEAD.match(text)
    assert head
    assert head[1] == path.name[:4]
    assert re.match(r"(accepted|superseded by)\b", head[3])
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == HEADINGS


def test_no_number_is_given_twice():
    """A number names one page."""
    numbers = [path.name[:4] for path in decisions_index.pages()]
    assert len(numbers) == len(set(numbers))


def test_the_index_lists_them_all():
    """`python tests/decisions_index.py` writes it anew."""
    assert decisions_index.INDEX.read_text(encoding="utf-8") == decisions_index.index()
