"""Only processes that wrote themselves down are ours."""

import os
import signal
import subprocess
import sys

import pytest
from seve_embedded.supervision import processes


@pytest.fixture
def sleeper(tmp_path):
    """A process that is written down."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    processes.record(tmp_path, "sleeper", process.pid)
    yield process
    process.kill()
    process.wait(10)


def test_a_process_written_down_is_found_alive(tmp_path, sleeper):
    """By name and pid."""
    assert [(found.name, found.pid) for found in processes.alive(tmp_path)] == [("sleeper", sleeper.pid)]


def test_another_process_with_that_number_is_none_of_ours(tmp_path, sleeper):
    """A pid that went to a stranger is not signalled."""
    (tmp_path / "sleeper").write_text(f"{sleeper.pid} earlier\n")
    [stranger] = processes.recorded(tmp_path)
    processes.send(stranger, signal.SIGKILL)
    assert not stranger.alive
    assert sleeper.poll() is None


def test_a_zombie_is_not_alive(tmp_path, sleeper):
    """Its parent may never ask for it, and nobody can stop it."""
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert processes.alive(tmp_path) == []


def test_stops_a_process_that_listens(tmp_path, sleeper):
    """It did not have to be killed."""
    [found] = processes.alive(tmp_path)
    killed = _stop_and_reap(found, sleeper, 10)
    assert not killed
    assert sleeper.returncode == -signal.SIGTERM


def test_kills_a_process_that_does_not_listen(tmp_path):
    """After the time it was given."""
    program = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as deaf:
        assert deaf.stdout.readline() == b"deaf\n"
        processes.record(tmp_path, "deaf", deaf.pid)
        [found] = processes.alive(tmp_path)
        killed = _stop_and_reap(found, deaf, 0.2)
    assert killed
    assert deaf.returncode == -signal.SIGKILL


def test_a_record_that_was_cut_short_is_nobody(tmp_path):
    """The machine went down while it was written."""
    (tmp_path / "nats").write_text("12")
    assert processes.recorded(tmp_path) == []


def _stop_and_reap(found, process, seconds):
    killed = processes.stop(found, signal.SIGTERM, seconds)
    process.wait(10)
    return killed


def test_a_record_that_is_being_written_is_not_read(tmp_path, sleeper):
    """It may be renamed before it is opened."""
    (tmp_path / "sleeper").rename(tmp_path / "sleeper.new")
    assert processes.recorded(tmp_path) == []
