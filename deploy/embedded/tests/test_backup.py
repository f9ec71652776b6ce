"""A backup that was taken under load and restored elsewhere is complete, by the audit."""

import json
import subprocess
import sys
import tarfile

import pytest
from seve_embedded.supervision import processes
from support.conditions import wait_until
from support.project import Project

pytestmark = pytest.mark.slow


@pytest.fixture
def make_project(tmp_path):
    """Makes projects; stops everything of them at the end of the test."""
    made = []

    def make(name):
        (tmp_path / name).mkdir()
        made.append(Project(tmp_path / name))
        return made[-1]

    yield make
    for project in made:
        project.say("down")
        assert processes.alive(project.state.pids) == []


def count(project):
    return int(project.say("psql", "-Atc", "SELECT count(*) FROM measurements"))


def test_a_backup_taken_under_load_is_restored_whole_in_another_folder(make_project, tmp_path):
    """Every message that was acknowledged before the backup began is there; the journal goes on where it ended."""
    source, target, file = make_project("source"), make_project("target"), tmp_path / "seve.backup"
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


def test_a_file_that_is_no_backup_changes_nothing(make_project, tmp_path):
    project, file = make_project("one"), tmp_path / "other.tar"
    project.say("up")
    project.publish(7)
    wait_until(lambda: project.values() == ["7"], "the row")
    file.write_bytes(b"not a tar")
    assert "is no backup" in project.say("restore", str(file), "--yes", code=1)
    assert project.values() == ["7"]
    project.say("status")
