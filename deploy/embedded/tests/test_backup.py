"""A backup that was taken under load and restored elsewhere is complete, by the audit."""

import json
import subprocess
import sys
import tarfile

import pytest
from support.conditions import wait_until
from support.project import project_in

pytestmark = pytest.mark.slow


@pytest.fixture
def source(tmp_path):
    """The project that is backed up."""
    with project_in(tmp_path / "source") as project:
        yield project


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    """The project that is restored into."""
    with project_in(tmp_path_factory.mktemp("restored") / "target") as project:
        yield project


def count(project):
    return int(project.say("psql", "-Atc", "SELECT count(*) FROM measurements"))


def test_a_backup_taken_under_load_is_restored_whole_in_another_folder(source, target, tmp_path):
    """Every message that was acknowledged before the backup began is there; the journal goes on where it ended."""
    file = tmp_path / "seve.backup"
    source.say("up")
    source.publish(450.5)
    source.say("publish", "croissance/co2", "warm")
    source.say("publish", "croissance/status", "online")
    load = subprocess.Popen(
        [sys.executable, "-m", "seve_embedded", "simulate", "--modules", "5", "--rate", "200", "--seconds", "8"],
        cwd=source.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    )
    try:
        wait_until(lambda: count(source) > 200, "the load")
        stored = count(source)
        assert "the journal to sequence" in source.say("backup", str(file))
    finally:
        load.wait(120)
    source.say("down")
    assert file.stat().st_mode & 0o077 == 0
    with tarfile.open(file) as whole:
        last = json.load(whole.extractfile("about.json"))["streams"]["TELEMETRY"]["state"]["last_seq"]

    target.say("up")
    target.publish(1)
    assert "Nobody to ask" in target.say("restore", str(file), code=1)
    told = target.say("restore", str(file), "--yes")
    assert "Restored what was taken at" in told

    wait_until(lambda: "every message is in the database." in target.say("audit"), "all stored again", 60)
    assert "Earlier journal" not in target.say("audit")
    assert count(target) >= stored
    values = target.say("psql", "-Atc", "SELECT value FROM measurements WHERE module_id = 'croissance'").split()
    assert sorted(values) == ["450.5"] or sorted(values) == ["", "450.5"]
    assert "not_a_number" in target.say("deadletter", "list")
    target.publish(2)
    wait_until(lambda: "2" in target.values(), "a message after the restore")
    assert f"sequences 1 to {last + 1}" in target.say("audit")


def test_a_file_that_is_no_backup_changes_nothing(target, tmp_path):
    file = tmp_path / "other.tar"
    target.say("up")
    target.publish(7)
    wait_until(lambda: "7" in target.values(), "the row")
    before = target.values()
    file.write_bytes(b"not a tar")
    assert "is no backup" in target.say("restore", str(file), "--yes", code=1)
    assert target.values() == before
    target.say("status")
