"""deploy/docker/watch.sh, in which the programs of the containers run: as in a container, with short times."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from seve_embedded.shared.disk import FULL, LOW_MOST
from seve_embedded.supervision import treatment
from support.conditions import wait_until

SCRIPT = Path(__file__).parents[1] / "deploy/docker/watch.sh"
QUICK = {"PATIENCE": 1, "START": 2, "FIRST": 1, "LONGEST": 4, "WELL": 2, "EVERY": 1, "FULL_KIB": 0, "LOW_KIB": 0}

PROGRAM = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
signal.signal(signal.SIGINT, lambda *_: sys.exit(8))
signal.signal(signal.SIGHUP, lambda *_: pathlib.Path("reread").touch())
with pathlib.Path("starts").open("a") as file:
    file.write(f"{__import__('os').getpid()}\\n")
while not pathlib.Path("end").exists():
    time.sleep(0.05)
sys.exit(9)
"""
PROBE = "test -e works || { echo no good; false; }"


class Watched:
    def __init__(self, folder, **times):
        self.folder = folder
        environ = {name: os.environ[name] for name in ("PATH",)}
        variables = {f"WATCH_{name}": str(value) for name, value in {**QUICK, **times}.items()}
        command = ["sh", SCRIPT, str(folder), PROBE, sys.executable, "-c", PROGRAM]
        self.process = subprocess.Popen(
            command, cwd=folder, env={**environ, **variables}, stderr=subprocess.PIPE, text=True
        )
        wait_until(lambda: self.pids, "started")

    @property
    def pids(self):
        path = self.folder / "starts"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def works(self):
        (self.folder / "works").touch()

    def fails(self):
        (self.folder / "works").unlink(missing_ok=True)


@pytest.fixture
def watched(tmp_path):
    made = []

    def watch(**times):
        made.append(Watched(tmp_path, **times))
        return made[-1]

    yield watch
    for one in made:
        if one.process.poll() is None:
            one.process.terminate()
        one.process.communicate(timeout=30)


def test_its_rules_are_those_of_the_stack_without_docker():
    text = SCRIPT.read_text()
    shared = {
        "PATIENCE": treatment.PATIENCE,
        "START": treatment.START_PATIENCE,
        "FIRST": treatment.FIRST_INTERVAL,
        "LONGEST": treatment.LONGEST_INTERVAL,
        "WELL": treatment.WELL_AGAIN,
        "FULL_KIB": FULL / 1024,
        "LOW_KIB": LOW_MOST / 1024,
    }
    assert [name for name, value in shared.items() if f'"${{WATCH_{name}:={value:.0f}}}"' not in text] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("total", "free", "warned"),
    [(1000, 99, True), (1000, 101, False), (1 << 30, 10_485_759, True), (1 << 30, 10_485_761, False)],
)
def test_a_disk_that_is_nearly_full_is_told_of(watched, tmp_path, monkeypatch, total, free, warned):
    """Below a tenth, or below 10 GiB of a large one; the program goes on. Sizes in KiB."""
    df = tmp_path / "bin" / "df"
    df.parent.mkdir()
    df.write_text(f"#!/bin/sh\necho Filesystem\necho disk {total} 0 {free} 0% /\ntouch asked\n")
    df.chmod(0o755)
    monkeypatch.setenv("PATH", f"{df.parent}:{os.environ['PATH']}")
    one = watched(LOW_KIB=10 << 20)
    one.works()
    wait_until((tmp_path / "asked").exists, "looked at")
    one.process.terminate()
    assert ("is nearly full" in one.process.communicate(timeout=30)[1]) == warned


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 7), (signal.SIGINT, 8)])
def test_a_signal_reaches_the_program_and_its_exit_code_comes_back(watched, number, code):
    one = watched()
    one.works()
    one.process.send_signal(number)
    assert one.process.wait(30) == code


@pytest.mark.slow
def test_a_program_is_told_to_read_its_files_again(watched):
    """As `./seve device` tells the broker, by the number of the container's first process."""
    one = watched()
    one.works()
    one.process.send_signal(signal.SIGHUP)
    wait_until((one.folder / "reread").exists, "told")
    assert one.process.poll() is None


@pytest.mark.slow
def test_a_program_that_ends_ends_the_container(watched):
    one = watched()
    (one.folder / "end").touch()
    assert one.process.wait(30) == 9


@pytest.mark.slow
def test_a_program_that_does_not_work_is_restarted_and_told(watched):
    one = watched()
    one.works()
    one.fails()
    wait_until(lambda: len(one.pids) > 1, "restarted")
    one.process.terminate()
    assert "restarting a program that does not work: no good" in one.process.communicate(timeout=30)[1]


@pytest.mark.slow
def test_a_frozen_program_is_killed(watched):
    one = watched()
    os.kill(one.pids[0], signal.SIGSTOP)
    wait_until(lambda: len(one.pids) > 1, "restarted")
    assert not Path(f"/proc/{one.pids[0]}").exists()


@pytest.mark.slow
def test_a_full_disk_is_waited_for(watched):
    """Nothing is restarted, and the log says why."""
    one = watched(FULL_KIB=1 << 50)
    line = one.process.stderr.readline()
    assert "is full: nothing is restarted until there is room" in line
    assert len(one.pids) == 1
