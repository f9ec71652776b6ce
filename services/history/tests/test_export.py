"""Samples as CSV, as the command writes them, from real PostgreSQL."""

import csv
import gzip
import os
import subprocess
import sys

import pytest
from seve_history.export import Progress, line

from .conftest import BASE, SECOND


def run(url, *arguments):
    environ = {"PATH": os.environ["PATH"], "DATABASE_URL": url}
    return subprocess.run(
        [sys.executable, "-m", "seve_history", "export", *arguments],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def folder(tmp_path):
    """A folder with nothing in it."""
    (tmp_path / "exports").mkdir()
    return tmp_path / "exports"


@pytest.fixture
def filled(asker, laid_out):
    """Two modules of ten samples, a second apart."""
    for module in ("croissance", 'le "vert"'):
        for second in range(10):
            asker.query(
                "INSERT INTO measurements (module_id, sensor_type, hardware_id, time, value)"
                " VALUES (%s, 'co2', '', to_timestamp(%s), %s)",
                *(module, BASE // SECOND + second, None if second == 3 else second / 2),
            )
    return laid_out


async def test_everything_is_written_in_order(filled, folder):
    """With a header; null is empty; names are quoted where they need it."""
    file = folder / "all.csv"
    done = run(filled, "--output", str(file))
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("20 rows, ")
    rows = list(csv.reader(file.read_text("utf-8").splitlines()))
    assert rows[0] == ["time", "module", "sensor", "hardware", "value"]
    assert rows[1] == ["2025-11-30T19:00:00.000000Z", "croissance", "co2", "", "0"]
    assert rows[4] == ["2025-11-30T19:00:03.000000Z", "croissance", "co2", "", ""]
    assert [row[1] for row in rows[1:]] == ["croissance"] * 10 + ['le "vert"'] * 10


async def test_a_range_and_modules_restrict_it(filled):
    """The end is excluded. Standard output is where it goes unless told."""
    done = run(filled, "--module", "croissance", "--from", "2025-11-30T19:00:02Z", "--to", "2025-11-30T19:00:05+00:00")
    assert [row[0][17:19] for row in csv.reader(done.stdout.splitlines()[1:])] == ["02", "03", "04"]
    assert len(run(filled, "--to", "1h").stdout.splitlines()) == 21


async def test_a_compressed_file_is_the_same(filled, folder):
    """And has its name only once it is whole."""
    run(filled, "--output", str(folder / "all.csv"))
    run(filled, "--output", str(folder / "all.csv.gz"))
    assert gzip.decompress((folder / "all.csv.gz").read_bytes()) == (folder / "all.csv").read_bytes()
    assert sorted(path.name for path in folder.iterdir()) == ["all.csv", "all.csv.gz"]


async def test_what_cannot_be_done_is_told(filled, folder):
    """In one line, and leaves no file behind."""
    (folder / "there.csv").write_text("mine")
    done = run(filled, "--output", str(folder / "there.csv"))
    assert (done.returncode, done.stderr) == (1, f"error: {folder}/there.csv exists: name another file\n")
    away = run("postgresql://nobody@127.0.0.1:1/seve", "--output", str(folder / "new.csv"))
    assert (away.returncode, away.stderr.partition(":")[0]) == (1, "error")
    assert "DATABASE_URL" in away.stderr
    wrong = run(filled, "--from", "yesterday")
    assert wrong.returncode == 2
    assert "'yesterday': expected a time such as" in wrong.stderr
    assert (folder / "there.csv").read_text() == "mine"
    assert [path.name for path in folder.iterdir()] == ["there.csv"]


def test_progress_is_a_line():
    """With a share as long as the estimate is not passed."""
    assert line(Progress(500, 2_000_000, 1000, 2.0)) == "50 %, 500 rows, 2.0 MB, 250 rows per second"
    assert line(Progress(1500, 2_000_000, 1000, 2.0)) == "1,500 rows, 2.0 MB, 750 rows per second"
