"""The real stack as its owner uses it, on free ports, in a folder with a space; one for each test."""

import contextlib
import socket
import subprocess
import sys

import pytest
from seve_embedded.supervision import processes, readiness
from support.conditions import accepts, wait_until
from support.project import project_in


@pytest.fixture
def project(tmp_path):
    """A project of the test's own."""
    with project_in(tmp_path / "my project") as project:
        yield project


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
