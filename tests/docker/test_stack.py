"""The stack in containers, by the commands of the person who runs it, under load, and as it looks from outside.

The stories build on one another: one stack is started, and stopped at the end.
"""

import json
import re
from pathlib import PurePosixPath

import pytest
from support import layers, open_ports
from support.compose import TAG, numbers
from support.conditions import accepts

pytestmark = pytest.mark.docker

PUBLISHED = {"mosquitto", "broadcaster"}
IMAGES = [f"seve/{name}:{TAG}" for name in ("ingest", "writer", "history", "broadcaster", "nats", "tools")]
OF_THE_WORKING_COPY = {".env", ".git", ".seve", ".venv", "conftest.py"}
KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{32}")


@pytest.fixture(scope="module")
def up(compose):
    """The stack, started by `up`; what `up` said."""
    compose.before = set(open_ports.listening())
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
        assert host["PidsLimit"] > 0, service
        assert host["LogConfig"]["Config"]["max-size"], service


def test_the_user_is_an_ordinary_one_in_the_container_too(up):
    for service in ("ingest", "writer", "history", "broadcaster", "nats"):
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


def test_of_this_machine_s_addresses_and_ports_only_the_two_published_answer(up):
    """Every port of every address is knocked at: neither NATS nor the database, nor any health or metrics."""
    networks = [network for one in inspected(up).values() for network in one["NetworkSettings"]["Networks"].values()]
    answering = open_ports.answering(up.before, {network["IPAddress"] for network in networks})
    assert {(open_ports.LOOPBACK, up.mqtt_port), (open_ports.LOOPBACK, up.ws_port)} == answering


def secret_words(up):
    """Every password and digest of the stack, without the text around it."""
    words = [re.findall(rb"[A-Za-z0-9+/=]{40,}", path.read_bytes()) for path in up.secrets.iterdir() if path.is_file()]
    return {word for found in words for word in found}


def amiss(images, words, folder):
    """What stands in a layer of the images and should not, by path and by why."""
    for path, content in layers.files(images, folder):
        if [word for word in words if word in content]:
            yield path, "secret"
        if KEY.search(content):
            yield path, "key"
        parts = PurePosixPath(path).parts
        if OF_THE_WORKING_COPY.intersection(parts) or (parts[0] == "app" and "tests" in parts):
            yield path, "working copy"


def test_no_layer_of_an_image_holds_a_secret_or_what_is_only_the_working_copy_s(up, tmp_path):
    """Of a stack that ran: the files of every layer, those that a later one removed too, and what the image says."""
    words = secret_words(up)
    assert len(words) > 8
    assert not list(amiss(IMAGES, words, tmp_path))
    said = up.docker("image", "inspect", *IMAGES) + "".join(up.docker("history", "--no-trunc", name) for name in IMAGES)
    assert not [word for word in words if word.decode() in said]


def test_what_a_later_layer_removed_would_be_found(up, tmp_path):
    """The search above finds what it looks for: it would tell a copied .env, a secret and a key."""
    (tmp_path / ".env").write_bytes(b"PASSWORD=" + min(secret_words(up)))
    (tmp_path / "device.txt").write_text(f"-----BEGIN EC PRIVATE KEY-----\n{'A' * 64}\n")
    (tmp_path / "Dockerfile").write_text(
        f"FROM seve/writer:{TAG}\nUSER 0\nCOPY .env device.txt /hidden/\nRUN rm -r /hidden\n"
    )
    name = f"{up.project}:leaking"
    up.docker("build", "--quiet", "--tag", name, str(tmp_path))
    try:
        found = set(amiss([name], secret_words(up), tmp_path))
    finally:
        up.docker("image", "rm", name)
    leaked = {("hidden/.env", "secret"), ("hidden/.env", "working copy"), ("hidden/device.txt", "key")}
    assert leaked == found


def test_an_image_says_what_it_is_and_holds_no_pip_and_no_compiler(up):
    for image in IMAGES[:4]:
        labels = json.loads(up.docker("image", "inspect", image))[0]["Config"]["Labels"]
        assert labels["org.opencontainers.image.title"] == image.replace("/", "-").partition(":")[0]
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
    assert json.loads(up.run("audit", "--json"))["journals"][-1]["outcomes"]["received"] >= 1200
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
    assert '"event"' in up.run("logs", "--once", "--raw", "--lines", "5", "ingest")


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
        for service in ("ingest", "writer", "history", "broadcaster"):
            up.compose("up", "-d", "--no-deps", "--no-build", "--force-recreate", "--wait", service)
        after = inspected(up)
        code, text = account()
    assert code == 0, text
    assert {7500} == set(numbers(text))
    assert all(
        before[service]["Id"] != after[service]["Id"] for service in ("ingest", "writer", "history", "broadcaster")
    )
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
