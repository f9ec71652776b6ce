"""Compose by itself starts nothing that was not checked first. Needs the client and its plugin, no engine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOORS = {"MQTT_LISTEN": "0.0.0.0:1883", "MQTT_USERNAME": "device", "MQTT_PASSWORD": "something-long"}


def compose_is_there():
    try:
        return subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


pytestmark = pytest.mark.skipif(not compose_is_there(), reason="`docker compose` is not installed")


def shell(line, folder, **environ):
    """A line of the documentation, in an environment of its own."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environ = {**kept, "SECRETS": str(folder), "PYTHON": sys.executable, **environ}
    return subprocess.run(["bash", "-c", line], cwd=ROOT, env=environ, capture_output=True, text=True, check=False)


def test_compose_alone_refuses(tmp_path):
    done = shell("docker compose config", tmp_path, **DOORS)

    assert done.returncode != 0
    assert "MQTT_ACCESS" in done.stderr


@pytest.mark.parametrize(("doors", "access"), [(DOORS, "password"), ({}, "open")])
def test_the_documented_commands_open_what_the_settings_say(tmp_path, doors, access):
    documented = next(
        line.strip("# \n") for line in (ROOT / "compose.yaml").read_text().splitlines() if "./seve prepare" in line
    )
    assert documented.endswith("docker compose up -d")
    done = shell(documented.replace("up -d", "config"), tmp_path, **doors)

    assert done.returncode == 0, done.stderr
    assert f"mosquitto/access/{access}" in done.stdout
    assert "seve-ingest-" in done.stdout
