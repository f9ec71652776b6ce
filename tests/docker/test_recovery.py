"""Containers come back without a person: programs that run and do not work, and a disk that was full.

The disk is memory of the test's own, and small.
"""

import json

import pytest
from support.compose import ROOT, Compose
from support.conditions import wait_until

pytestmark = pytest.mark.docker

SMALL_DISK = """
volumes:
  nats: { driver_opts: { type: tmpfs, device: tmpfs, o: "size=320m,uid=10001,gid=10001,mode=700" } }
"""
SIZES = {"JOURNAL_MAX_BYTES": "64MiB", "HISTORY_MAX_BYTES": "64MiB", "LATEST_MAX_BYTES": "16MiB"}
FREEZE = 'for p in /proc/[0-9]*; do read -r n <$p/comm && [ "$n" = {} ] && kill -STOP "${{p#/proc/}}"; done; true'


@pytest.fixture(scope="module")
def up(engine, tmp_path_factory):
    folder = tmp_path_factory.mktemp("recovery")
    (folder / "small.yaml").write_text(SMALL_DISK)
    files = f"{ROOT / 'compose.yaml'}:{folder / 'small.yaml'}"
    stack = Compose(folder, COMPOSE_FILE=files, **SIZES, DEADLETTER_MAX_BYTES="16MiB")
    stack.run("up")
    yield stack
    stack.remove()


def logged(up, service):
    return up.compose("logs", "--no-color", service)


def healthy(up):
    states = [json.loads(line) for line in up.compose("ps", "--format", "json").splitlines()]
    return {state["Health"] for state in states} == {"healthy"}


def works(up, value):
    up.run("publish", "croissance/co2", str(value))
    wait_until(lambda: up.sql(f"SELECT count(*) FROM measurements WHERE value = {value}") == "1", "the row", 60)


def test_check_measures_the_disk_that_the_volume_is_on(up):
    """Not the engine's, which has room."""
    assert "the disk of nats in Docker has 0.3 GiB free, three quarters of it for streams" in up.run("check", code=1)


def test_frozen_programs_are_restarted(up):
    """Of each kind: a server, the database with all its children, the broker, and a service."""
    frozen = {"nats": "nats-server", "postgres": "postgres", "mosquitto": "mosquitto", "ingest": "service"}
    for service, program in frozen.items():
        up.compose("exec", "-T", service, "sh", "-c", FREEZE.format(program))
    wait_until(lambda: all("restarting a program" in logged(up, name) for name in frozen), "all restarted", 90)
    wait_until(lambda: healthy(up), "all healthy", 90)
    works(up, 1)


def test_a_disk_that_was_full_is_left_behind(up):
    """NATS refuses to store until it is restarted; space is all that it takes."""
    up.compose("exec", "-T", "nats", "sh", "-c", "cat /dev/zero >/data/ballast 2>/dev/null; true")
    up.run("publish", "filler/of/the/journal", "x" * 20_000)
    wait_until(lambda: "is full: nothing is restarted" in logged(up, "nats"), "noticed", 90)
    up.compose("exec", "-T", "nats", "rm", "/data/ballast")
    wait_until(lambda: logged(up, "nats").count("restarting a program") == 2, "restarted", 60)
    works(up, 2)
    assert "\nACCOUNTED FOR: every message" in up.run("audit")
