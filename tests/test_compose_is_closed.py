"""Compose by itself starts nothing that was not checked first. Needs the client and its plugin, no engine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LISTENERS = {"MQTT_LISTEN": "0.0.0.0:1883", "MQTT_USERNAME": "device", "MQTT_PASSWORD": "something-long"}
LISTENERS["MQTT_ALLOW_UNENCRYPTED"] = "true"


def compose_is_there():
    try:
        return subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


FILES = ("compose.yaml", "compose.cluster.yaml")
DIGEST = f"sha256:{'0123456789abcdef' * 4}"

pytestmark = pytest.mark.skipif(not compose_is_there(), reason="`docker compose` is not installed")


def shell(line, folder, **environ):
    """A line of the documentation, in an environment of its own."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environ = {**kept, "SECRETS": str(folder), "PYTHON": sys.executable, **environ}
    return subprocess.run(["bash", "-c", line], cwd=ROOT, env=environ, capture_output=True, text=True, check=False)


def configured(folder, **environ):
    """What Compose makes of the settings, after `./seve prepare`."""
    environ = {"COMPOSE_FILE": ":".join(FILES), **environ}
    done = shell('eval "$(./seve prepare)"; docker compose --profile "*" config --format json', folder, **environ)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_container_is_bounded(tmp_path):
    """In memory, and in processes and threads."""
    services = configured(tmp_path)["services"]
    assert {"ingest", "writer", "broadcaster", "nats-1", "postgres", "mosquitto", "proxy", "tools"} <= set(services)
    assert {"prometheus", "grafana"} <= set(services)
    for name, service in services.items():
        assert int(service["mem_limit"]) > 0, name
        assert 0 < service["pids_limit"] <= 512, name


def test_no_secret_is_in_a_container_s_environment_or_command(tmp_path):
    """`docker inspect`, and the list of processes, show both."""
    word = "s3cret-" * 6
    found = configured(tmp_path, JWT_SECRET=word, MQTT_USERNAME="device", MQTT_PASSWORD=f"{word}too")
    assert word not in json.dumps(found)
    assert (tmp_path / "jwt_secret").read_text() == word
    assert found["services"]["broadcaster"]["environment"]["JWT_SECRET_FILE"] == "/run/secrets/jwt_secret"
    for service in found["services"].values():
        assert "/run/secrets" not in str(service.get("healthcheck"))


@pytest.mark.parametrize("name", ["JWT_PUBLIC_KEY_FILE", "JWT_JWKS_FILE"])
def test_the_folder_of_the_keys_is_mounted(tmp_path, name):
    """A file that is replaced by rename, as editors and secret managers do, is another file under its name."""
    (tmp_path / "keys").mkdir()
    broadcaster = configured(tmp_path, **{name: str(tmp_path / "keys/jwt.pem")})["services"]["broadcaster"]
    assert broadcaster["environment"][name] == "/etc/seve/keys/jwt.pem"
    mounts = [(mount["source"], mount["target"]) for mount in broadcaster["volumes"] if "keys" in mount["target"]]
    assert mounts == [(str(tmp_path / "keys"), "/etc/seve/keys")]


def test_a_key_beside_everything_else_is_refused(tmp_path):
    """The container would see the project with its `.env`."""
    done = shell("./seve prepare", tmp_path, JWT_PUBLIC_KEY_FILE="./jwt.pem")
    assert done.returncode == 2
    assert "setting JWT_PUBLIC_KEY_FILE = './jwt.pem': expected a file in a folder of its own" in done.stderr


def test_no_name_of_the_inner_network_can_be_answered_for_by_a_neighbour(tmp_path):
    """Machines of a browser's network may answer for a single label (LLMNR): a page there could lead it here."""
    broadcaster = configured(tmp_path)["services"]["broadcaster"]
    hosts = [name for name in broadcaster["environment"]["WS_HOSTS"].split(",") if name]
    assert hosts
    assert all("." in name for name in hosts)


def test_who_looks_on_is_not_reached_from_the_network(tmp_path):
    """Whatever is opened: nobody has to say who they are there."""
    services = configured(tmp_path, WS_LISTEN="0.0.0.0:8080", WS_ALLOW_UNAUTHENTICATED="true", WS_ALLOW_UNENCRYPTED="1")
    published = [port for name in ("prometheus", "grafana") for port in services["services"][name]["ports"]]
    assert [port["host_ip"] for port in published] == ["127.0.0.1", "127.0.0.1"]


def test_images_may_be_named_by_digest(tmp_path):
    names = ("MOSQUITTO_IMAGE", "NATS_IMAGE", "POSTGRES_IMAGE", "PYTHON_IMAGE", "HAPROXY_IMAGE")
    names += ("PROMETHEUS_IMAGE", "GRAFANA_IMAGE")
    by_digest = {name: f"registry.example/{name.lower()}@{DIGEST}" for name in names}
    text = json.dumps(configured(tmp_path, **by_digest))
    assert not [name for name, image in by_digest.items() if image not in text]


def test_compose_alone_refuses(tmp_path):
    done = shell("docker compose config", tmp_path, **LISTENERS)

    assert done.returncode != 0
    assert "MQTT_ACCESS" in done.stderr


@pytest.mark.parametrize(("listeners", "access"), [(LISTENERS, "password"), ({}, "open")])
def test_the_documented_commands_open_what_the_settings_say(tmp_path, listeners, access):
    documented = next(
        line.strip("# \n") for line in (ROOT / "compose.yaml").read_text().splitlines() if "./seve prepare" in line
    )
    assert documented.endswith("docker compose up -d")
    done = shell(documented.replace("up -d", "config"), tmp_path, **listeners)

    assert done.returncode == 0, done.stderr
    assert f"mosquitto/access/{access}" in done.stdout
    assert "seve-ingest-" in done.stdout
