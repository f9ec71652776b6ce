"""Some simulated stories in every run of the suite, and that the simulation itself can be trusted."""

import subprocess
import sys

import pytest

from simulation.__main__ import play_all, quiet
from simulation.judge import Broken
from simulation.story import play

pytestmark = pytest.mark.slow

STORIES = 200
ONE_STORY = "import sys; from simulation.__main__ import quiet, tell; quiet(); tell(int(sys.argv[1]))"


@pytest.fixture(autouse=True)
def _quiet():
    import structlog

    before = structlog.get_config()
    quiet()
    yield
    structlog.configure(**before)


def test_stories_end_well():
    """Whatever was acknowledged is stored once, and no screen misses anything untold; `make simulation` has more."""
    assert play_all(range(STORIES)) == []


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_a_seed_tells_the_same_story_again(hash_seed):
    """In another process, whatever the order of its sets."""
    told = []
    play(7, told.append)
    environment = {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)}
    again = subprocess.run(
        [sys.executable, "-c", ONE_STORY, "7"], env=environment, capture_output=True, text=True, check=True
    )
    assert again.stdout.splitlines() == told


def test_what_goes_wrong_is_seen(monkeypatch):
    """A writer that acknowledges before COMMIT breaks a story at once, which names its seed."""
    from seve_writer.database.batch_writer import BatchWriter

    async def forgotten(self, units, journal):
        return set()

    monkeypatch.setattr(BatchWriter, "write", forgotten)
    with pytest.raises(Broken, match=r"seed 0: message \d+ was acknowledged to the journal before it was stored"):
        play(0)
