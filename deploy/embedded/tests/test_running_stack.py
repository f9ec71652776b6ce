"""One real stack as its owner looks at it and as its processes die, on free ports, started once for all tests.

Each test says `up`, which does nothing if the stack is up. The first one counts all messages since the start; the last
one leaves the stack down.
"""

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys

import psutil
import pytest
from seve_embedded.supervision import processes
from seve_embedded.top.terminal import LEAVE
from support.conditions import wait_until
from support.project import project_in


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The stack's project."""
    with project_in(tmp_path_factory.mktemp("stack") / "my project") as project:
        yield project


def hear_ctrl_c():
    """Enable SIGINT as in a terminal, because processes in the background ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_top_shows_what_flows_once_or_until_it_is_interrupted(project):
    """Into a pipe it prints no control characters; on a terminal Ctrl-C ends it, and the terminal is as before."""
    project.say("up")
    for value in range(5):
        project.publish(value)
    project.publish("warm")
    wait_until(lambda: len(project.values()) == 5, "the rows")
    once = project.say("top", "--once")
    figures = {line.split()[0]: line.split()[1:] for line in once.splitlines() if line.startswith("  ")}
    assert figures["received"][1:] == ["messages", "6"]
    assert figures["stored"][1:3] == ["envelopes", "6"]
    assert figures["croissance"][0] == "100"
    assert figures["ingest.not_a_number"] == ["1"]
    assert "\x1b" not in once

    screen, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "seve_embedded", "top"],
        cwd=project.folder,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=hear_ctrl_c,  # noqa: PLW1509  (no thread of the tests holds a lock)
    )
    os.close(terminal)
    shown = b""
    while shown.count(b"Flow") < 2:
        shown += os.read(screen, 65536)
    process.send_signal(signal.SIGINT)
    with contextlib.suppress(OSError):  # the end of a terminal is an error
        while more := os.read(screen, 65536):
            shown += more
    os.close(screen)
    assert process.wait(10) == 0
    assert shown.endswith(LEAVE.encode())


def test_no_program_shows_a_password_in_its_arguments(project):
    """Every user of the machine may read them."""
    project.say("up")
    shown = project.say("psql", "-c", r"\! cat /proc/$PPID/cmdline")
    assert f"@127.0.0.1:{project.ports['POSTGRES_PORT']}" in shown
    running = {process.name: psutil.Process(process.pid).cmdline() for process in processes.alive(project.state.pids)}
    secrets = [path.read_text() for path in project.state.secrets.iterdir()]
    assert secrets
    assert [secret for secret in secrets if secret in f"{shown} {running}"] == []


def test_simulated_modules_are_forgotten_by_one_command(project):
    """With their rows, and the messages that the broker retains for them."""
    project.say("up")
    assert "./seve forget --simulated" in project.say("simulate", "--modules", "3", "--rate", "30", "--seconds", "1")
    assert "Cleared 12 retained messages" in project.say("forget", "--simulated", "--yes")
    assert project.say("psql", "-Atc", "SELECT module_id FROM device_presence") == ""


def tapped(project, *words):
    """Start a tap and wait until it has begun; its output is read when it ends."""
    command = [sys.executable, "-m", "seve_embedded", "tap", *words]
    return subprocess.Popen(
        command,
        cwd=project.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=hear_ctrl_c,  # noqa: PLW1509  (no thread of the tests holds a lock)
    )


def test_tap_shows_live_messages_at_each_place_and_ends_with_ctrl_c(project):
    """Arrived messages with their repairs, messages in the journal, stored rows, and refused messages."""
    project.say("up")
    here = ("--module", "croissance", "--count")
    taps = {
        "mqtt": tapped(project, *here, "2"),
        "journal": tapped(project, "--at", "journal", *here, "1"),
        "row": tapped(project, "--at=row", *here, "1"),
        "dead": tapped(project, "--at", "dead", *here, "1"),
    }

    def all_ended():
        project.say("publish", "croissance/co2", '{"value": "450,5"}')
        project.say("publish", "croissance/co2", "warm")
        return all(tap.poll() is not None for tap in taps.values())

    wait_until(all_ended, "each has shown what it was asked for", 60)
    shown = {place: tap.communicate()[0] for place, tap in taps.items()}
    assert [tap.returncode for tap in taps.values()] == [0, 0, 0, 0], shown
    assert "number_in_text: a number in a string became a number" in shown["mqtt"]
    assert "measurement  croissance/co2" in shown["journal"]
    assert "    measurements  co2  " in shown["row"]
    assert "in a transaction of" in shown["row"]
    assert "ingest/not_a_number" in shown["dead"]

    endless = tapped(project, "--at", "journal")
    wait_until(lambda: project.publish(1) or select.select([endless.stdout], [], [], 0)[0], "a first line")
    for each in (endless, *psutil.Process(endless.pid).children()):  # to all of them, as a terminal does
        each.send_signal(signal.SIGINT)
    assert "Traceback" not in endless.communicate(timeout=20)[0]
    assert endless.returncode == 0


def test_killed_services_are_started_again(project):
    """Killed services come back with other pids, and messages that were published around that are stored."""
    project.say("up")
    project.publish(11)
    before = {name: project.kill(name) for name in ("ingest", "writer")}
    project.publish(12)
    wait_until(lambda: all(project.pid(name) not in (None, pid) for name, pid in before.items()), "new processes")
    wait_until(lambda: project.ready("INGEST_ADMIN_PORT") and project.ready("WRITER_ADMIN_PORT"), "both ready")
    wait_until(lambda: {"11", "12"} <= set(project.values()), "both rows")


def test_up_takes_over_from_a_killed_supervisor(project):
    """It stops the remaining processes and starts again."""
    project.say("up")
    nats = project.pid("nats")
    project.kill("supervisor")
    assert "stopping them first" in project.say("up")
    assert project.pid("supervisor")
    assert project.pid("nats") not in (None, nats)


def test_down_stops_the_processes_of_a_killed_supervisor(project):
    """Nothing stays running; `status` says before that what happened."""
    project.say("up")
    started = processes.alive(project.state.pids)
    project.kill("supervisor")
    assert "supervisor is gone" in project.say("status", code=1)
    project.say("down")
    assert [process for process in started if process.alive] == []
