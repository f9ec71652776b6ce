"""The stack in containers, by the commands of the person who runs it, under load, and as it looks from outside.

The stories build on one another: one stack is started, and stopped at the end.
"""

import json
import socket

import pytest
from servers.compose import TAG, numbers
from servers.conditions import accepts

pytestmark = pytest.mark.docker

PUBLISHED = {"mosquitto", "broadcaster"}


@pytest.fixture(scope="module")
def up(compose):
    """The stack, started by `up`; what `up` said."""
    compose.said = compose.run("up")
    return compose


def inspected(up):
    names = up.containers()
    return {names[one["Name"].lstrip("/")]: one for one in json.loads(up.docker("inspect", *names))}


def test_up_ends_with_where_everything_is_and_all_is_healthy(up):
    assert f"mqtt://127.0.0.1:{up.mqtt_port}" in up.said
    assert f"ws://127.0.0.1:{up.ws_port}/ws" in up.said
    states = {service: one["State"] for service, one in inspected(up).items()}
    assert states.pop("setup")["ExitCode"] == 0
    assert {"healthy"} == {state["Health"]["Status"] for state in states.values()}


def test_no_container_is_root_or_writes_its_own_files_or_may_do_more_than_a_user(up):
    for service, one in inspected(up).items():
        host = one["HostConfig"]
        assert one["Config"]["User"] not in ("", "0", "root"), service
        assert host["ReadonlyRootfs"], service
        assert (host["CapDrop"], host["CapAdd"]) == (["ALL"], None), service
        assert host["SecurityOpt"] == ["no-new-privileges:true"], service
        assert host["Memory"] > 0, service
        assert host["LogConfig"]["Config"]["max-size"], service


def test_the_user_is_an_ordinary_one_in_the_container_too(up):
    for service in ("ingest", "writer", "broadcaster", "nats"):
        status = up.compose("exec", "-T", service, "cat", "/proc/1/status")
        lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        assert lines["Uid"].split() == ["10001"] * 4
        assert int(lines["CapEff"], 16) == 0


def test_only_mqtt_and_the_broadcaster_are_published_and_on_loopback(up):
    for service, one in inspected(up).items():
        bound = [binding for several in one["NetworkSettings"]["Ports"].values() for binding in several or []]
        assert (service in PUBLISHED) == bool(bound), service
        assert {"127.0.0.1"} >= {binding["HostIp"] for binding in bound}
    assert accepts(up.mqtt_port)
    assert accepts(up.ws_port)


def test_another_address_of_this_machine_is_refused(up):
    """The published ports are this machine's alone: on its own other address nobody answers."""
    with socket.socket() as probe:
        probe.settimeout(2)
        assert probe.connect_ex(("127.0.0.2", up.mqtt_port)) != 0


def test_an_image_holds_no_secret_no_pip_and_no_compiler(up):
    words = [path.read_text() for path in up.secrets.iterdir() if path.is_file()]
    for name in ("ingest", "writer", "broadcaster", "nats"):
        image = f"seve/{name}:{TAG}"
        said = up.docker("image", "inspect", image) + up.docker("history", "--no-trunc", image)
        assert not [word for word in words if word.strip() in said]
        labels = json.loads(up.docker("image", "inspect", image))[0]["Config"]["Labels"]
        assert labels["org.opencontainers.image.title"] == f"seve-{name}"
    look = "command -v pip pip3 gcc cc make; find / -xdev -name pip -path '*-packages*' 2>/dev/null; true"
    assert up.docker("run", "--rm", "--entrypoint", "sh", f"seve/writer:{TAG}", "-c", look).strip() == ""


def test_a_fleet_is_stored_and_seen_sample_by_sample(up, tmp_path):
    with up.load(tmp_path, rate=300, seconds=4) as account:
        code, text = account()
    assert code == 0, text
    assert {1200} == set(numbers(text))


def test_every_message_of_the_journal_is_accounted_for(up):
    """`make audit`, in the container of the tools; the writer's own credentials would do as well."""
    assert "\nACCOUNTED FOR: every message" in up.run("audit")
    assert json.loads(up.run("audit", "--json"))["journals"][-1]["accounted"] >= 1200
    assert "\nACCOUNTED FOR: every message" in up.compose("exec", "-T", "writer", "seve-writer", "audit")


def test_status_counts_what_is_stored(up):
    said = up.run("status")
    assert "Up" in said
    assert "measurements" in said
    assert "No errors in the logs." in said
    assert up.sql("SELECT count(*) FROM measurements") in said.replace(",", "")


def test_what_is_published_is_watched_and_logged(up):
    up.run("publish", "croissance/co2", '{"value": 450.5, "time": "2026-01-02T03:04:05Z"}')
    up.run("publish", "croissance/co2", '{"value": 451, "time": "not a time"}')
    up.run("status")
    assert '"event"' in up.run("logs", "--once", "--lines", "5", "ingest")


def test_writers_are_scaled_from_one_to_three_and_back_under_load(up, tmp_path):
    with up.load(tmp_path, rate=400, seconds=20) as account:
        up.run("scale", "WRITERS=3")
        assert list(up.containers().values()).count("writer") == 3
        up.run("scale", "WRITERS=1")
        assert list(up.containers().values()).count("writer") == 1
        code, text = account()
    assert code == 0, text
    assert {8000} == set(numbers(text))
    assert_stored_once(up)


def test_every_service_is_replaced_in_turn_under_load(up, tmp_path):
    """A rolling restart: each container is replaced by a new one while devices go on."""
    with up.load(tmp_path, rate=300, seconds=25) as account:
        before = inspected(up)
        for service in ("ingest", "writer", "broadcaster"):
            up.compose("up", "-d", "--no-deps", "--no-build", "--force-recreate", "--wait", service)
        after = inspected(up)
        code, text = account()
    assert code == 0, text
    assert {7500} == set(numbers(text))
    assert all(before[service]["Id"] != after[service]["Id"] for service in ("ingest", "writer", "broadcaster"))
    assert_stored_once(up)


def assert_stored_once(up):
    """Everything is accounted for, and no message was delivered and written twice."""
    told = json.loads(up.run("audit", "--json"))
    assert told["ok"]
    assert [journal["again"] for journal in told["journals"]] == [0]


def test_down_stops_everything_and_keeps_the_data(up):
    rows = up.sql("SELECT count(*) FROM measurements")
    up.run("down")
    assert up.containers() == {}
    assert "Sève is not up" in up.run("status", code=1)
    up.run("up")
    assert rows == up.sql("SELECT count(*) FROM measurements")


def test_clean_asks_and_then_leaves_nothing(up):
    assert "make down" in up.run("clean", "--yes", code=1)
    up.run("down")
    assert "Nobody to ask" in up.run("clean", code=1)
    up.run("clean", "--yes")
    assert up.docker("volume", "ls", "-q", "--filter", f"name={up.project}").strip() == ""
