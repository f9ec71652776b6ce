"""`seve-history export` writes samples as CSV, from real PostgreSQL."""

import csv
import gzip
import os
import resource
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

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
    """The end is excluded. The default output is standard output."""
    done = run(filled, "--module", "croissance", "--from", "2025-11-30T19:00:02Z", "--to", "2025-11-30T19:00:05+00:00")
    assert [row[0][17:19] for row in csv.reader(done.stdout.splitlines()[1:])] == ["02", "03", "04"]
    assert len(run(filled, "--to", "1h").stdout.splitlines()) == 21


async def test_a_compressed_file_is_the_same(filled, folder):
    """A file gets its name only once it is complete."""
    run(filled, "--output", str(folder / "all.csv"))
    run(filled, "--output", str(folder / "all.csv.gz"))
    assert gzip.decompress((folder / "all.csv.gz").read_bytes()) == (folder / "all.csv").read_bytes()
    assert sorted(path.name for path in folder.iterdir()) == ["all.csv", "all.csv.gz"]


async def test_an_export_that_cannot_be_done_names_the_reason(filled, folder):
    """In one line on stderr. No file is left behind."""
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


MANY = 20_000
"""More samples than a pipe can hold: their export waits until somebody reads."""


@pytest.fixture
def many(asker, laid_out):
    """One module of many samples."""
    asker.query(
        "INSERT INTO measurements (module_id, sensor_type, hardware_id, time, value)"
        " SELECT 'croissance', 'co2', '', to_timestamp(%s) + i * interval '1 second', i"
        " FROM generate_series(1, %s) AS i",
        *(BASE // SECOND, MANY),
    )
    return laid_out


@contextmanager
def exporting(url, *arguments, **options):
    """Start an export that writes to a pipe, and wait until it has begun."""
    environ = {"PATH": os.environ["PATH"], "DATABASE_URL": url}
    command = [sys.executable, "-m", "seve_history", "export", *arguments]
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environ, **{**piped, **options}) as process:
        if process.stdout is not None:
            assert process.stdout.readline() == "time,module,sensor,hardware,value\n"
        yield process


async def test_rows_that_are_deleted_during_an_export_are_in_it(many, asker):
    """It reads one snapshot, whatever writers and RETENTION do."""
    with exporting(many) as process:
        asker.query("DELETE FROM measurements WHERE value > 100")
        asker.query("INSERT INTO measurements VALUES (now(), 'new', 'co2', '', 1)")
        assert len(process.stdout.read().splitlines()) == MANY
        assert process.stderr.read().startswith("20,000 rows, ")
        assert process.wait(60) == 0


async def test_a_reader_that_closes_the_pipe_ends_the_export(many):
    """As `head` does. Nothing is printed about it."""
    with exporting(many) as process:
        process.stdout.close()
        assert (process.wait(60), process.stderr.read()) == (1, "")


async def test_ctrl_c_ends_it(many, folder):
    """No traceback, and no file."""
    with exporting(many) as process:
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert (process.wait(60), process.stderr.read()) == (130, "")


async def test_a_database_that_goes_down_is_named(many, asker):
    """The exit code shows that the written part is not everything."""
    with exporting(many) as process:
        asker.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'seve-history export'"
        )
        process.stdout.read()
        told = process.stderr.read()
        assert process.wait(60) == 1
    assert told.startswith("error: the database cannot be read (DATABASE_URL): ")
    assert "Traceback" not in told


def test_a_full_disk_is_named(many, folder):
    """For a file and for standard output. No file is left."""
    told = []
    full = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (MANY, MANY)), "stdout": None}
    for name in ("all.csv", "all.csv.gz"):
        with exporting(many, "--output", str(folder / name), **full) as process:
            told.append((process.wait(60), process.stderr.read()))
    with Path("/dev/full").open("w") as device, exporting(many, stdout=device) as process:
        told.append((process.wait(60), process.stderr.read()))
    assert [code for code, _ in told] == [1, 1, 1]
    assert told[0][1] == f"error: {folder}/all.csv cannot be written: [Errno 27] File too large\n"
    assert told[2][1] == "error: standard output cannot be written: [Errno 28] No space left on device\n"
    assert list(folder.iterdir()) == []


async def test_an_empty_range_is_refused(filled):
    done = run(filled, "--from", "1h", "--to", "2h")
    assert (done.returncode, done.stderr) == (2, "error: --from is not before --to\n")


def test_progress_is_a_line():
    """With a percentage, unless there are more rows than estimated."""
    assert line(Progress(500, 2_000_000, 1000, 2.0)) == "50 %, 500 rows, 2.0 MB, 250 rows per second"
    assert line(Progress(1500, 2_000_000, 1000, 2.0)) == "1,500 rows, 2.0 MB, 750 rows per second"
