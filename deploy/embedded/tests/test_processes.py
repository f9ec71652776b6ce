"""Only recorded processes belong to the stack."""

import os
import signal
import subprocess
import sys

import pytest
from seve_embedded.supervision import processes


@pytest.fixture
def sleeper(tmp_path):
    """A recorded process."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    processes.record(tmp_path, "sleeper", process.pid)
    yield process
    process.kill()
    process.wait(10)


def test_a_recorded_process_is_found_alive(tmp_path, sleeper):
    """By name and pid."""
    assert [(found.name, found.pid) for found in processes.alive(tmp_path)] == [("sleeper", sleeper.pid)]


def test_another_process_with_a_recorded_pid_is_not_ours(tmp_path, sleeper):
    """A process that got the pid of a recorded one is not signalled."""
    (tmp_path / "sleeper").write_text(f"{sleeper.pid} earlier\n")
    [stranger] = processes.recorded(tmp_path)
    processes.send(stranger, signal.SIGKILL)
    assert not stranger.alive
    assert sleeper.poll() is None


def test_a_zombie_is_not_alive(tmp_path, sleeper):
    """Its parent may never reap it, and it cannot be stopped."""
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert processes.alive(tmp_path) == []


def test_stops_a_process_that_listens(tmp_path, sleeper):
    """It does not have to be killed."""
    [found] = processes.alive(tmp_path)
    killed = _stop_and_reap(found, sleeper, 10)
    assert not killed
    assert sleeper.returncode == -signal.SIGTERM


def test_kills_a_process_that_does_not_listen(tmp_path):
    """After the given time."""
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


def test_a_truncated_record_names_no_process(tmp_path):
    """As after a power loss while it was written."""
    (tmp_path / "nats").write_text("12")
    assert processes.recorded(tmp_path) == []


def _stop_and_reap(found, process, seconds):
    killed = processes.stop(found, signal.SIGTERM, seconds)
    process.wait(10)
    return killed


def test_a_record_that_is_being_written_is_not_read(tmp_path, sleeper):
    """It may be renamed before it could be opened."""
    (tmp_path / "sleeper").rename(tmp_path / "sleeper.new")
    assert processes.recorded(tmp_path) == []
