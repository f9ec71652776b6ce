"""Which tests are handed out first, and together."""

from pathlib import Path

from support.order import CONTAINERS, LONGEST_FIRST, place, unit

ROOT = Path(__file__).parent.parent


def test_every_file_that_takes_long_is_there():
    assert [name for name in LONGEST_FIRST if name != CONTAINERS and not (ROOT / name).is_file()] == []


def test_what_takes_long_is_handed_out_first_and_whole():
    story = "tests/integration/test_restarts.py::test_one"
    collected = ["libs/test_a.py::test_a", f"{story}[embedded]", f"{story}[docker]", "tests/docker/test_a.py::test_b"]
    placed = sorted(collected, key=place)
    assert [unit(nodeid) for nodeid in placed] == [CONTAINERS, CONTAINERS, story.partition("::")[0], "libs/test_a.py"]
