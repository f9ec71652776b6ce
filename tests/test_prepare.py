"""What is settled before containers start: `./seve prepare` on a bare Python."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PREPARE = f"""
import os, pathlib, sys
sys.path[:0] = ["{ROOT}/deploy/docker/src", "{ROOT}/deploy/embedded/src", "{ROOT}/libs/runtime/src"]
from seve_docker.commands import Containers
from seve_embedded.cli import dispatch
sys.exit(dispatch.main(["prepare"], pathlib.Path.cwd(), Containers))
"""
OPEN = "MQTT_LISTEN=0.0.0.0:1883\nMQTT_USERNAME=device\nMQTT_PASSWORD=long-enough\n"


def prepared(folder, **environ):
    """The settings that it prints, and what it says besides."""
    command = [sys.executable, "-I", "-S", "-c", PREPARE]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=True)
    return dict(line.removeprefix("export ").split("=", 1) for line in done.stdout.splitlines()), done.stderr


def test_no_device_guesses_the_name_of_ingests_session(tmp_path):
    (tmp_path / ".env").write_text(OPEN)
    first, said = prepared(tmp_path)
    again, _ = prepared(tmp_path)

    assert re.fullmatch(r"seve-ingest-[0-9a-f]{16}", first["MQTT_CLIENT_ID"])
    assert again["MQTT_CLIENT_ID"] == first["MQTT_CLIENT_ID"]
    assert said == ""


def test_an_older_installation_keeps_its_session_and_is_warned(tmp_path):
    secrets = tmp_path / ".seve/docker/seve"
    secrets.mkdir(parents=True)
    (secrets / "mqtt_pipeline").write_text("earlier")

    assert prepared(tmp_path)[0]["MQTT_CLIENT_ID"] == "seve-ingest"
    assert prepared(tmp_path)[1] == ""
    (tmp_path / ".env").write_text(OPEN)
    assert "MQTT_CLIENT_ID = 'seve-ingest' is known to everybody" in prepared(tmp_path)[1]
    assert prepared(tmp_path, MQTT_CLIENT_ID="mine")[0]["MQTT_CLIENT_ID"] == "mine"
