"""What continuous integration leaves out is on a list, with the reason."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
STORY = """
import pytest

def test_runs():
    pass

def test_left_out():
    pytest.skip("no engine answers at /run/x")
"""


@pytest.mark.parametrize(
    ("listed", "code"), [('"no engine" = "there is none"', 0), ('"no engineer" = "of trains"', 1), ("", 1)]
)
def test_a_skip_that_is_not_listed_fails_the_run(tmp_path, listed, code):
    """And is named with its reason; the beginning of a reason is enough, since a path or a number may follow."""
    (tmp_path / "test_story.py").write_text(STORY)
    (tmp_path / "skips.toml").write_text(listed)
    command = [sys.executable, "-m", "pytest", "-p", "support.skips", "--skips-allowed", "skips.toml", "-c", os.devnull]
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout
    assert ("NOT IN skips.toml: no engine answers at /run/x" in done.stdout) == bool(code)


def test_without_the_option_a_skip_is_no_failure(tmp_path):
    """On a person's machine."""
    (tmp_path / "test_story.py").write_text(STORY)
    command = [sys.executable, "-m", "pytest", "-p", "support.skips", "-c", os.devnull]
    subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(TESTS)}, check=True, capture_output=True)


def test_every_reason_on_the_list_is_one_that_a_test_gives():
    """A test that is gone takes its entry with it."""
    root = TESTS.parent
    sources = [path for folder in ("libs", "services", "deploy", "tests") for path in (root / folder).rglob("*.py")]
    given = "".join(path.read_text(encoding="utf-8") for path in sources if "test" in path.parts[-1] + path.parts[-2])
    reasons = tomllib.loads((root / ".ci" / "skips.toml").read_text(encoding="utf-8"))
    assert reasons
    assert [reason for reason in reasons if reason not in given] == []
