"""`./seve device` with the stack in containers: when Mosquitto may be told to read its users again."""

import subprocess

import pytest
from seve_docker import device
from seve_docker.compose import Container
from seve_docker.device import MosquittoBroker
from seve_embedded.shared.identities import DeviceError

MOSQUITTO = Container("mosquitto", "running", "healthy", 0)


class Compose:
    """Compose of a project with these containers; keeps what it is asked to run."""

    def __init__(self, root, *containers):
        self.root = root
        self.environ = {"MQTT_LISTEN": "0.0.0.0:1883", "MQTT_DEVICES": "own", "MQTT_ALLOW_UNENCRYPTED": "true"}
        self.containers = containers
        self.asked = []

    def states(self):
        return list(self.containers)

    def ask(self, *words):
        self.asked.append(words)
        return subprocess.CompletedProcess(words, 0, "", "")


def test_mosquitto_reads_its_users_again_where_ingest_is_connected(tmp_path):
    compose = Compose(tmp_path, MOSQUITTO, Container("ingest", "running", "healthy", 0))

    assert MosquittoBroker(compose).apply()
    assert [words[:3] for words in compose.asked] == [("exec", "-T", "mosquitto")]


def test_a_session_that_is_away_keeps_its_rights(tmp_path, monkeypatch):
    """Mosquitto would drop what comes for ingest, if it was restarted since ingest was there."""
    monkeypatch.setattr(device, "INGEST_SECONDS", 0.0)
    compose = Compose(tmp_path, MOSQUITTO, Container("ingest", "running", "unhealthy", 0))

    with pytest.raises(DeviceError, match="ingest is not connected"):
        MosquittoBroker(compose).apply()
    assert compose.asked == []


def test_files_are_ready_for_a_mosquitto_that_does_not_run(tmp_path):
    compose = Compose(tmp_path)

    assert not MosquittoBroker(compose).apply()
    assert "user pipeline" in (tmp_path / ".seve/docker/seve/mqtt_acl").read_text()
