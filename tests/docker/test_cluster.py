"""Three NATS servers, two ingests, three writers, two broadcasters behind one port; one server is killed under load."""

import pytest
from support.cluster import leader, whole
from support.compose import numbers
from support.conditions import wait_until

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def up(cluster):
    """The cluster, started by `up`."""
    cluster.run("up", seconds=300)
    return cluster


def test_every_service_of_the_picture_is_there(up):
    services = list(up.containers().values())
    assert (services.count("writer"), services.count("broadcaster")) == (3, 2)
    assert {"nats-1", "nats-2", "nats-3", "ingest", "ingest-2", "proxy"} <= set(services)
    assert "nats" not in services


def test_two_ingests_share_the_topics_without_overlap(up, tmp_path):
    """Every sample once, whichever ingest its topic belongs to; the screen is reached through the proxy."""
    with up.load(tmp_path, rate=300, seconds=4) as account:
        code, text = account()
    assert code == 0, text
    assert {1200} == set(numbers(text))
    up.run("publish", "deep/dht22/temperature", "21.5")
    rows = "SELECT hardware_id || '=' || value FROM measurements WHERE module_id = 'deep'"
    wait_until(lambda: up.sql(rows) == "dht22=21.5", "the sample with a hardware id")


def test_a_nats_server_is_killed_and_nothing_is_lost(up, tmp_path):
    """The journal's own leader dies while devices publish: what they were acknowledged is stored, once."""
    wait_until(lambda: whole(up), "three current copies of each stream", 60)
    server = leader(up)
    with up.load(tmp_path, rate=300, seconds=15) as account:
        up.compose("kill", server)
        _, text = account()
    sent, acknowledged, stored, seen = numbers(text)
    assert (sent, acknowledged, stored) == (4500, 4500, 4500), text
    assert seen == sent or "declared" in text, text
    assert up.sql("SELECT count(*) FROM (SELECT DISTINCT * FROM measurements) AS one") == up.sql(
        "SELECT count(*) FROM measurements"
    )
    up.compose("start", server)
    wait_until(lambda: whole(up), "the server that was killed has its copies again", 90)
