"""The real stack as its owner uses it, on free ports, in a folder with a space."""

import contextlib
import os
import pty
import select
import signal
import socket
import subprocess
import sys

import psutil
import pytest
from seve_embedded.supervision import processes, readiness
from seve_embedded.top.terminal import LEAVE
from support.conditions import accepts, wait_until
from support.project import Project


@pytest.fixture
def project(tmp_path):
    """A project of which nothing runs any more when the test is over."""
    folder = tmp_path / "my project"
    folder.mkdir()
    project = Project(folder)
    yield project
    project.say("down")
    assert processes.alive(project.state.pids) == []


def test_up_publish_down_up(project):
    """One command starts it, a second says that it runs; a message becomes a row, which is still there after a stop."""
    first = project.say("up")
    assert "Sève is up." in first
    assert f"mqtt://127.0.0.1:{project.ports['MQTT_LISTEN']}" in first
    assert "Sève is up already." in project.say("up")

    project.publish(450.5)
    wait_until(lambda: project.values() == ["450.5"], "the row")
    report = project.say("status")
    assert [line.split()[1] for line in report.splitlines() if line.split()[:1] == ["measurements"]] == ["1"]
    assert "No errors in the logs." in report
    assert "mqtt subscribed" in project.say("logs", "--once", "ingest")
    assert "no program is called digest: there are postgres, nats, writer" in project.say("logs", "digest", code=1)

    assert "Sève is down" in project.say("down")
    assert "Sève is not up." in project.say("down")
    assert not [name for name, port in project.ports.items() if accepts(port)]
    assert "Sève is not up" in project.say("status", code=1)
    assert "error: Sève is not up" in project.say("publish", "croissance/co2", "1", code=1)

    project.say("up")
    assert project.values() == ["450.5"]
    assert "`make down` first" in project.say("clean", "--yes", code=1)
    project.say("down")
    assert "Nobody to ask" in project.say("clean", code=1)
    (project.state.folder / "docker").mkdir()
    project.say("clean", "--yes")
    assert [path.name for path in project.state.folder.iterdir()] == ["docker"]


def test_no_program_shows_a_password_in_its_arguments(project):
    """Every user of the machine may read them."""
    project.say("up")
    shown = project.say("psql", "-c", r"\! cat /proc/$PPID/cmdline")
    assert f"@127.0.0.1:{project.ports['POSTGRES_PORT']}" in shown
    running = {process.name: psutil.Process(process.pid).cmdline() for process in processes.alive(project.state.pids)}
    secrets = [path.read_text() for path in project.state.secrets.iterdir()]
    assert secrets
    assert [secret for secret in secrets if secret in f"{shown} {running}"] == []


def test_killed_services_are_started_again(project):
    """Killed services come back with other pids, and messages that were published around that are stored."""
    project.say("up")
    project.publish(1)
    before = {name: project.kill(name) for name in ("ingest", "writer")}
    project.publish(2)
    wait_until(lambda: all(project.pid(name) not in (None, pid) for name, pid in before.items()), "new processes")
    wait_until(lambda: project.ready("INGEST_ADMIN_PORT") and project.ready("WRITER_ADMIN_PORT"), "both ready")
    wait_until(lambda: project.values() == ["1", "2"], "both rows")


def test_down_stops_the_processes_of_a_killed_supervisor(project):
    """Nothing stays running; `status` says before that what happened."""
    project.say("up")
    started = processes.alive(project.state.pids)
    project.kill("supervisor")
    assert "supervisor is gone" in project.say("status", code=1)
    project.say("down")
    assert [process for process in started if process.alive] == []


def test_up_takes_over_from_a_killed_supervisor(project):
    """It stops the remaining processes and starts again."""
    project.say("up")
    nats = project.pid("nats")
    project.kill("supervisor")
    assert "stopping them first" in project.say("up")
    assert project.pid("supervisor")
    assert project.pid("nats") not in (None, nats)


def test_writers_come_and_go_while_it_runs(project):
    """Each answers on a port of its own; a removed one no longer runs."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        second = taken.getsockname()[1]
        env = (project.folder / ".env").read_text()
        (project.folder / ".env").write_text(f"{env}WRITER_ADMIN_PORT={second - 1}\n")
        project.ports["WRITER_ADMIN_PORT"] = second - 1
        project.say("up")
        assert f"WRITER_ADMIN_PORT: 127.0.0.1:{second} is taken" in project.say("scale", "WRITERS=2", code=2)
    project.say("scale", "WRITERS=2")
    assert readiness.ask(second).ready
    assert "writer-2" in project.say("status")
    project.say("scale", "WRITERS=1")
    assert project.pid("writer-2") is None
    assert "writer-2" not in project.say("status")


def test_a_taken_port_is_named_and_nothing_is_started(project):
    """The error names the setting to change; the exit code is that of bad settings."""
    with contextlib.closing(socket.create_server(("127.0.0.1", project.ports["POSTGRES_PORT"]))):
        said = project.say("up", code=2)
    assert f"setting POSTGRES_PORT: 127.0.0.1:{project.ports['POSTGRES_PORT']} is taken" in said
    assert processes.recorded(project.state.pids) == []


def test_settings_that_cannot_be_used_are_named_together_before_anything_starts(project):
    """Settings of the stack and of every service, and files they name; a misspelt name with the nearest setting."""
    env = project.folder / ".env"
    usable = env.read_text()
    faulty = "MQTT_KEEPALIVE=often\nBATCH_SZIE=50\nFLUSH_INTERVAL=9\nWRITERS=0\nROUTES_FILE=./none.toml\n"
    env.write_text(f"{usable}{faulty}JWT_PUBLIC_KEY_FILE=./none.pem\nMQTT_LISTEN=127.0.0.1:99999\n")
    said = project.say("up", code=2).splitlines()
    env.write_text(usable)
    assert all(line.startswith("setting ") for line in said)
    names = [line.split()[1] for line in said]
    assert sorted(names) == [
        "BATCH_SZIE",
        "FLUSH_INTERVAL",
        "JWT_PUBLIC_KEY_FILE",
        "MQTT_KEEPALIVE",
        "MQTT_LISTEN",
        "ROUTES_FILE",
        "WRITERS",
    ]
    assert not project.state.folder.exists()


def test_a_start_that_is_late_shows_nothing_of_earlier_starts(project):
    """Only lines of this start are shown."""
    project.state.make()
    for name in ("nats", "postgres"):
        project.state.log(name).write_text("a fault of an earlier start\n")
    with (project.folder / ".env").open("a") as env:
        env.write("START_TIMEOUT=1ms\n")
    said = project.say("up", code=1)
    assert "not ready after START_TIMEOUT" in said
    assert "earlier start" not in said
    assert processes.alive(project.state.pids) == []


def test_logs_and_run_before_the_first_up_say_that_it_is_not_up(project):
    for words in (["logs"], ["run", "env"]):
        assert "error: Sève is not up: `make up` starts it" in project.say(*words, code=1)


def test_the_owner_of_the_stack_needs_no_token(project):
    """With the secret in `.env`, commands get a token; clients without one are refused."""
    with (project.folder / ".env").open("a") as env:
        env.write(f"JWT_SECRET={'s' * 32}\n")
    project.say("up")
    fetch = (
        "import os; from websockets.sync.client import connect; "
        "headers = {'Authorization': 'Bearer ' + os.environ.get('WS_TOKEN', '')}; "
        "connect(os.environ['WS_URL'] + '?module=a', additional_headers=headers).recv()"
    )
    project.say("run", sys.executable, "-c", fetch)
    refused = project.say("run", "env", "-u", "WS_TOKEN", sys.executable, "-c", fetch, code=1)
    assert "HTTP 401" in refused


def test_devices_must_know_the_password_once_there_is_one(project):
    """With the password, a sample is stored and seen; without it, the broker refuses the device."""
    with (project.folder / ".env").open("a") as env:
        env.write("MQTT_USERNAME=sensor\nMQTT_PASSWORD='p\"w $1 \\\\'\n")
    project.say("up")
    project.publish(3)
    wait_until(lambda: project.values() == ["3"], "the row")
    anonymous = "from paho.mqtt import publish; publish.single('a/b', '1', qos=1, port={port}, hostname='127.0.0.1')"
    refused = subprocess.run(
        [sys.executable, "-c", anonymous.format(port=project.ports["MQTT_LISTEN"])],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert refused.returncode != 0
    assert "Not authorized" in refused.stderr


def test_each_device_has_a_password_of_its_own(project, tmp_path):
    """Created while the stack is down or while it runs; people's commands need none."""
    with (project.folder / ".env").open("a") as env:
        env.write("MQTT_DEVICES=own\n")
    assert "holds from its next start" in project.say("device", "add", "croissance")
    project.say("up")
    assert "croissance/#" in project.say("device", "list")
    names, file = tmp_path / "names.txt", tmp_path / "fleet.csv"
    names.write_text("fleet-1\nfleet-2\nfleet-3\n")
    project.say("device", "add", "--file", str(names), "--out", str(file))
    base = ("simulate", "--rate", "50", "--seconds", "1", "--report-every", "1")
    assert "the account closes" in project.say(*base, "--devices", str(file))
    assert "the account closes" in project.say(*base, "--modules", "2")
    project.say("device", "remove", "fleet-1")
    assert "cannot simulate: Not authorized" in project.say(*base, "--devices", str(file), code=1)
    assert "'fleet-1' has no identity" in project.say("device", "rotate", "fleet-1", code=1)


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


def test_simulated_modules_are_forgotten_by_one_command(project):
    """With their rows, and the messages that the broker retains for them."""
    project.say("up")
    assert "./seve forget --simulated" in project.say("simulate", "--modules", "3", "--rate", "30", "--seconds", "1")
    assert "Cleared 12 retained messages" in project.say("forget", "--simulated", "--yes")
    assert project.say("psql", "-Atc", "SELECT module_id FROM device_presence") == ""


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
