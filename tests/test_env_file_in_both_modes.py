"""A line of `.env` means the same with Docker and without. The Docker side runs on a bare Python: no site-packages."""

import base64
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from seve_embedded.stack import Stack

ROOT = Path(__file__).parents[1]
PREPARE = f"""
import os, pathlib, sys
packages = "deploy/docker", "deploy/embedded", "libs/runtime", "services/ingest"
sys.path[:0] = [f"{ROOT}/{{one}}/src" for one in packages]
from seve_docker.commands import Containers
from seve_embedded.cli import dispatch
sys.exit(dispatch.main(["prepare"], pathlib.Path.cwd(), Containers))
"""
PASSWORDS = [
    ("p#ss-word-long", "p#ss-word-long"),
    ("correct horse battery", "correct horse battery"),
    ("a\\b", "a\\b"),
    ("it's", "it's"),
    ("'dew # mist'", "dew # mist"),
    ('"it\'s" # mine', "it's"),
    ("$HOME", "$HOME"),
    ("long-enough # a comment", "long-enough"),
]


def prepared(folder):
    command = [sys.executable, "-I", "-S", "-c", PREPARE]
    return subprocess.run(command, cwd=folder, env={}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("written", "password"), PASSWORDS)
def test_the_devices_password_is_read_whole(tmp_path, written, password):
    (tmp_path / ".env").write_text(f"MQTT_USERNAME=device\nMQTT_PASSWORD={written}\n")

    assert Stack.open({}, tmp_path).settings.mqtt_password.reveal() == password

    assert prepared(tmp_path).returncode == 0
    lines = (tmp_path / ".seve/docker/seve/mqtt_passwords").read_text().splitlines()
    [line] = [line for line in lines if line.startswith("device:")]
    _, kind, iterations, salt, digest = line.split("$")
    assert kind == "7"
    expected = hashlib.pbkdf2_hmac("sha512", password.encode(), base64.b64decode(salt), int(iterations))
    assert base64.b64decode(digest) == expected


def test_a_line_that_is_no_variable_is_named_and_not_shown(tmp_path):
    (tmp_path / ".env").write_text("MQTT_USERNAME=device\nhunter2\n")
    done = prepared(tmp_path)
    assert (done.returncode, done.stderr) == (2, "setting file .env, line 2: expected NAME=value\n")
