"""What is settled before containers start: `./seve prepare` on a bare Python."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from seve_embedded.shared import nats_memory
from seve_runtime.units import size_text
from support.certificates import certify

ROOT = Path(__file__).parents[1]
PREPARE = f"""
import os, pathlib, sys
packages = "deploy/docker", "deploy/embedded", "libs/runtime", "services/ingest"
sys.path[:0] = [f"{ROOT}/{{one}}/src" for one in packages]
from seve_docker.commands import Containers
from seve_embedded.cli import dispatch
sys.exit(dispatch.main(["prepare"], pathlib.Path.cwd(), Containers))
"""
OPEN = "MQTT_LISTEN=0.0.0.0:1883\nMQTT_USERNAME=device\nMQTT_PASSWORD=long-enough\nMQTT_ALLOW_UNENCRYPTED=true\n"


def write(path, text, mode=0o600):
    path.write_text(text)
    path.chmod(mode)


def run(folder, **environ):
    command = [sys.executable, "-I", "-S", "-c", PREPARE]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)


def prepared(folder, **environ):
    """The settings that it prints, and what it says besides."""
    done = run(folder, **environ)
    assert done.returncode == 0, done.stderr
    return dict(line.removeprefix("export ").split("=", 1) for line in done.stdout.splitlines()), done.stderr


def test_every_container_has_its_folder_of_certificates_and_keys_of_no_other(tmp_path):
    """Also without TLS, when the folders say nothing."""
    prepared(tmp_path)
    folder = tmp_path / ".seve/docker/seve/tls"
    assert {path.name for path in folder.iterdir()} == {
        *("broadcaster", "ingest", "mosquitto", "nats", "postgres", "tools", "writer")
    }
    assert not list(folder.rglob("*.pem"))
    certify(tmp_path)
    settings, _ = prepared(tmp_path, TLS="on")
    assert settings["NATS_SCHEME"] == "tls"
    keys = [path.read_text() for path in folder.rglob("key.pem")]
    assert len(set(keys)) == 4
    assert "sslmode=verify-full" in (folder.parent / "database_url").read_text()
    prepared(tmp_path)
    assert not list(folder.rglob("*.pem"))


def test_the_name_of_ingests_session_cannot_be_guessed(tmp_path):
    write(tmp_path / ".env", OPEN)
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
    write(tmp_path / ".env", OPEN)
    assert "MQTT_CLIENT_ID = 'seve-ingest' is known to everybody" in prepared(tmp_path)[1]
    assert prepared(tmp_path, MQTT_CLIENT_ID="mine")[0]["MQTT_CLIENT_ID"] == "mine"


def test_devices_with_identities_need_no_shared_password(tmp_path):
    """And one that is still set lets nobody in."""
    write(tmp_path / ".env", f"{OPEN}MQTT_DEVICES=own\n", 0o600)
    assert prepared(tmp_path)[0]["MQTT_ACCESS"] == "password"
    folder = tmp_path / ".seve/docker/seve"
    assert [line.split(":")[0] for line in (folder / "mqtt_passwords").read_text().splitlines()] == ["pipeline"]
    assert "device" not in (folder / "mqtt_acl").read_text().splitlines()[1:]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_file_of_secrets_that_others_may_read_is_told(tmp_path, mode):
    """By the names of its secrets, never by their values; for `up` too, in either mode."""
    write(tmp_path / ".env", f"{OPEN}JWT_SECRET={'s' * 32}\nWRITERS=2\n", mode)
    said = prepared(tmp_path)[1]
    assert said == (
        "warning: .env: other users of this machine may read MQTT_PASSWORD, JWT_SECRET in it: chmod 600 .env\n"
    )


def test_a_file_without_secrets_may_be_read(tmp_path):
    write(tmp_path / ".env", "WRITERS=2\nJWT_SECRET=\n", 0o644)
    assert prepared(tmp_path)[1] == ""


def test_nats_and_its_container_get_as_much_memory_as_is_asked_for(tmp_path):
    """In a form that Go reads too; what is printed is read again without a fault."""
    settings, _ = prepared(tmp_path, NATS_MEMORY_BYTES="1.5gib")
    assert settings["NATS_MEMORY_BYTES"] == f"{3 << 29}B"
    assert settings["NATS_CONTAINER_BYTES"] == f"{3 << 30}b"
    assert prepared(tmp_path, NATS_MEMORY_BYTES=settings["NATS_MEMORY_BYTES"])[0] == settings
    assert f"${{NATS_MEMORY_BYTES:-{size_text(nats_memory.DEFAULT)}}}" in (ROOT / "compose.yaml").read_text()


@pytest.mark.parametrize(
    ("environ", "fault"),
    [
        ({"MQTT_DEVICES": "each"}, "MQTT_DEVICES = 'each': expected shared or own"),
        ({"MQTT_DEVICES": "own", "MQTT_ALLOW_ANONYMOUS": "true"}, "MQTT_ALLOW_ANONYMOUS=true and MQTT_DEVICES=own"),
        ({"MQTT_USERNAME": "device:x"}, "MQTT_USERNAME: expected a name without a colon"),
        ({"MQTT_USERNAME": "device\npipeline"}, "MQTT_USERNAME: expected a name without a colon"),
        ({"SEVE_PROJECT": "../../elsewhere"}, "SEVE_PROJECT = '../../elsewhere': expected lower-case letters"),
        ({"SEVE_PROJECT": "a/b"}, "SEVE_PROJECT = 'a/b': expected lower-case letters"),
        ({"JWT_SECRET": "short"}, "JWT_SECRET is shorter than 32 bytes"),
        ({"NATS_MEMORY_BYTES": "450"}, "NATS_MEMORY_BYTES = '450': expected a size with its unit"),
        ({"NATS_MEMORY_BYTES": "63MiB"}, "NATS_MEMORY_BYTES = '63MiB': expected at least 64MiB"),
    ],
)
def test_a_setting_that_no_container_would_refuse_is_refused(tmp_path, environ, fault):
    """Nothing is written before it."""
    inner = tmp_path / "project"
    inner.mkdir()
    done = run(inner, **{"MQTT_PASSWORD": "long-enough", "MQTT_USERNAME": "device", **environ})
    assert done.returncode == 2
    assert done.stderr.startswith(f"setting {fault}")
    assert [path.name for path in tmp_path.rglob("*")] == ["project"]
