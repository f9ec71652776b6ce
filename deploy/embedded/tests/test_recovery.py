"""The stack recovers without a person: from parts that run but do not work, and from a full disk."""

import contextlib
import os
import signal
import subprocess
import sys

import psutil
import pytest
from support.conditions import wait_until
from support.project import Project

DISK = "1g"
"""Size of the file system in memory. NATS uses up to three quarters of a disk, and needs 600 MiB with the sizes
below.
"""


@pytest.fixture
def watched(tmp_path):
    """A project whose state is on a small file system, which only this test and its children see."""
    folder = tmp_path / "project"
    (folder / ".seve").mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=700", "tmpfs", str(folder / ".seve")]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("may not mount a small file system here")
    project = Project(folder)
    with (folder / ".env").open("a") as env:
        env.write("MQTT_QUEUE_MAX_BYTES=16MiB\n")
    yield project
    project.say("down")
    subprocess.run(["umount", str(folder / ".seve")], check=True)


def restarted(project, before):
    """Return whether each of these parts has another pid now."""
    return all(project.pid(name) not in (None, pid) for name, pid in before.items())


def works(project, value):
    project.publish(value)
    wait_until(lambda: str(value) in project.values(), "the row", 60)


@pytest.mark.slow
def test_a_frozen_part_is_noticed_and_restarted(watched):
    """Servers with all their children, and a service; each restart is logged, and later messages are stored."""
    watched.say("up")
    names = ("nats", "postgres", "ingest", "broadcaster")
    before = {name: watched.pid(name) for name in names}
    for pid in before.values():
        for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
            os.kill(process.pid, signal.SIGSTOP)
    wait_until(lambda: restarted(watched, before), "all of them restarted", 90)
    works(watched, 7)
    told = watched.state.log("watchdog").read_text()
    assert [name for name in names if f'"part": "{name}", "reason": "does not answer within 2 s"' not in told] == []


@pytest.mark.slow
def test_the_stack_recovers_from_a_full_disk(watched):
    """NATS refuses to store until it is restarted; the watchdog does that once there is space."""
    watched.say("up")
    works(watched, 1)
    ballast = watched.state.folder / "ballast"
    fill(ballast)
    publishing = subprocess.Popen(
        [sys.executable, "-m", "seve_embedded", "publish", "croissance/co2", "2"],
        cwd=watched.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: "no space left on device" in status(watched).stdout, "status says why", 60)
    assert "Disk: WARNING: the disk is full" in status(watched).stdout
    publishing.wait(60)
    nats = watched.pid("nats")
    ballast.unlink()
    wait_until(lambda: restarted(watched, {"nats": nats}), "NATS restarted", 60)
    works(watched, 3)
    wait_until(lambda: status(watched).returncode == 0, "status is content", 60)
    assert "exception" not in watched.state.log("supervisor").read_text()


def status(project):
    """Return the output of `status`, whatever its exit code."""
    command = [sys.executable, "-m", "seve_embedded", "status"]
    return subprocess.run(command, check=False, cwd=project.folder, capture_output=True, text=True, timeout=60)


def fill(path):
    """Fill the disk."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 20))
    with path.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x")
