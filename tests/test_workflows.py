"""The hosted workflows run only code that is named by its commit, and leave no credentials to later steps."""

import re
from pathlib import Path

import pytest

WORKFLOWS = sorted((Path(__file__).parent.parent / ".github" / "workflows").glob("*.yml"))
USES = re.compile(r"uses: (.*)")
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_action_is_pinned_by_commit(path):
    """A tag can be moved to other code; the version beside the commit is for people."""
    used = USES.findall(path.read_text(encoding="utf-8"))
    assert used
    assert [name for name in used if not PINNED.fullmatch(name)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_checkout_drops_its_credentials(path):
    """Steps after it cannot push as the workflow."""
    lines = path.read_text(encoding="utf-8").splitlines()
    after = [lines[at + 1] for at, line in enumerate(lines) if "uses: actions/checkout@" in line]
    assert after
    assert [line for line in after if "persist-credentials: false" not in line] == []
