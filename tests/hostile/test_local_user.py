"""A user of the same machine without rights: reads nothing of the stack, commands nothing, and comes in nowhere."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from seve_embedded.supervision import processes
from support import clients, local_user
from support.conditions import wait_until
from support.project import Project

UID = 54_321
"""Nobody's: no file and no process of this machine is that user's."""

PYTHON = "/usr/bin/python3"
COUNT = 50
JWT_SECRET = "a-secret-of-thirty-two-bytes-or-more"


@pytest.fixture
def project():
    """A stack of root's, with passwords and tokens, in a folder that everybody may enter."""
    if os.getuid() or not Path(PYTHON).exists():
        pytest.skip("only root can act as another user, and that user needs a Python")
    folder = Path(tempfile.mkdtemp(prefix="seve-local-user-", dir="/tmp"))
    folder.chmod(0o755)
    project = Project(folder)
    with (folder / ".env").open("a") as env:
        env.write(f"MQTT_USERNAME=device\nMQTT_PASSWORD=the devices' own\nJWT_SECRET={JWT_SECRET}\n")
    (folder / ".env").chmod(0o600)
    yield project
    project.say("down")
    shutil.rmtree(folder)


def as_another_user(**told):
    """What that user could do."""
    command = [PYTHON, "-I", "-c", Path(local_user.__file__).read_text()]
    bare = {"cwd": "/", "env": {}, "user": UID, "group": UID, "extra_groups": []}
    done = subprocess.run(command, input=json.dumps(told), capture_output=True, text=True, check=True, **bare)
    return json.loads(done.stdout)


def test_a_local_user_learns_and_does_nothing(project):
    project.say("up")
    parts = [process.pid for process in processes.alive(project.state.pids)]
    assert len(parts) >= 5
    ports = {"nats": "NATS_PORT", "postgres": "POSTGRES_PORT", "mqtt": "MQTT_LISTEN", "ws": "WS_LISTEN"}
    login = ("device", "the devices' own")
    with clients.device(f"mqtt://127.0.0.1:{project.ports['MQTT_LISTEN']}", login=login) as publish:
        for number in range(COUNT):
            publish("honest/co2", number)
        found = as_another_user(
            folder=str(project.state.folder),
            pids=parts,
            sockets=[str(project.state.socket)],
            **{name: project.ports[setting] for name, setting in ports.items()},
        )
        for number in range(COUNT, 2 * COUNT):
            publish("honest/co2", number)

    assert found["uid"] == UID
    assert found["done"] == []
    secrets = [path.read_text() for path in project.state.secrets.iterdir() if path.is_file()]
    assert not [word for word in (*secrets, JWT_SECRET, login[1]) for line in found["lines"] if word in line]
    assert [process.pid for process in processes.alive(project.state.pids)] == parts
    wait_until(lambda: len(project.values()) == 2 * COUNT, "every sample of the honest device")
