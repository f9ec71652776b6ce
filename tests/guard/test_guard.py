"""A run of the suite that is interrupted, or whose processes are killed, ends every server that it started."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from support import guard
from support.conditions import wait_until

ROOT = Path(__file__).parents[2]
HOLDS = Path(__file__).with_name("held.py")
LEAVES = "import subprocess, sys; subprocess.Popen(['sleep', '600'], start_new_session=True); "
"""A daemon in a session of its own, left by the process that started it."""


def guarded(program):
    return subprocess.Popen([sys.executable, guard.__file__, sys.executable, "-c", program], stderr=subprocess.PIPE)


def test_what_a_command_leaves_is_ended_and_named():
    with guarded(LEAVES + "sys.exit(3)") as process:
        assert process.stderr.read() == f"guard: ended what {sys.executable} left running: sleep\n".encode()
    assert process.returncode == 3


@pytest.mark.parametrize("number", sorted(guard.INTERRUPTS))
def test_an_interrupt_is_a_ctrl_c_for_the_command(number, tmp_path):
    """It may clean up; what it leaves is ended."""
    ready = tmp_path / "ready"
    waits = f"import pathlib, signal; pathlib.Path({str(ready)!r}).touch(); signal.pause()"
    with guarded(f"{LEAVES}\ntry: {waits}\nexcept KeyboardInterrupt: sys.exit(7)") as process:
        wait_until(ready.exists, "it waits")
        process.send_signal(number)
        assert b"sleep" in process.stderr.read()
    assert process.returncode == 7


def test_a_second_interrupt_ends_a_command_that_cleans_up_for_ever(tmp_path):
    ready, cleaning = tmp_path / "ready", tmp_path / "cleaning"
    waits = f"import pathlib, signal; pathlib.Path({str(ready)!r}).touch(); signal.pause()"
    for_ever = f"pathlib.Path({str(cleaning)!r}).touch(); signal.pause()"
    with guarded(f"try: {waits}\nexcept KeyboardInterrupt: {for_ever}") as process:
        wait_until(ready.exists, "it waits")
        process.send_signal(signal.SIGINT)
        wait_until(cleaning.exists, "it cleans up")
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
    assert process.returncode == 128 + signal.SIGTERM


@pytest.fixture
def make(tmp_path):
    """`make test` in which a process holds servers, in a session of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "MAKE"))}
    options = f"{HOLDS} --basetemp={tmp_path / 'run'} -p no:cacheprovider"
    environment = {**kept, "PYTEST_ADDOPTS": options, "HELD": str(tmp_path / "held")}
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(
            ["make", "test", "JOBS=2"], cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
        ) as process,
    ):
        wait_until(lambda: process.poll() is not None or (tmp_path / "held").exists(), "servers held")
        assert process.poll() is None, (tmp_path / "log").read_text()
        yield psutil.Process(process.pid)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["Ctrl-C", "the process that hands out the tests is killed"])
def test_no_server_outlives_the_run(make, how):
    every = make.children(recursive=True)
    assert {"nats-server", "postgres"} <= {process.name() for process in every}
    if how == "Ctrl-C":
        os.killpg(make.pid, signal.SIGINT)
    else:
        [handing_out] = every[0].children()
        handing_out.kill()
    assert psutil.wait_procs(every, 60)[1] == []
