"""OBSERVABILITY=1: Prometheus finds every container, its alerts come and go, and a person looks on beside it."""

import json
import subprocess
import urllib.parse
import urllib.request

import pytest
from support.compose import Compose
from support.conditions import free_port, wait_until

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def up(engine, tmp_path_factory):
    """A stack with Prometheus, and with Grafana where its image can be had."""
    port = free_port()
    environment = {"OBSERVABILITY": "1", "PROMETHEUS_PORT": str(port), "GRAFANA_PORT": str(free_port())}
    stack = Compose(tmp_path_factory.mktemp("observed"), **environment)
    stack.prometheus = f"http://127.0.0.1:{port}"
    try:
        stack.said = stack.run("up")
        yield stack
    finally:
        stack.remove()


def query(up, expression):
    question = urllib.parse.urlencode({"query": expression})
    with urllib.request.urlopen(f"{up.prometheus}/api/v1/query?{question}", timeout=10) as answer:
        return [one["metric"] for one in json.load(answer)["data"]["result"]]


def test_up_says_where_it_is_and_every_service_is_found(up):
    assert up.prometheus in up.said
    jobs = {"ingest", "writer", "history", "broadcaster"}
    wait_until(lambda: {one["job"] for one in query(up, "up == 1")} == jobs, "every service scraped")


def test_an_alert_comes_when_the_writer_is_stopped_and_goes_when_it_is_back(up):
    def alerts():
        return {one["alertname"] for one in query(up, 'ALERTS{alertstate="firing"}')}

    up.compose("stop", "writer")
    wait_until(lambda: "SeveServiceDown" in alerts(), "the alert", 120)
    up.compose("start", "writer")
    wait_until(lambda: "SeveServiceDown" not in alerts(), "its end", 120)


def test_a_person_looks_on(up):
    """As without Docker: one screen, and live messages at two places."""
    up.run("publish", "croissance/co2", "warm")
    assert "ingest.not_a_number" in up.run("top", "--once")
    taps = [
        subprocess.Popen(
            up.command("tap", "--count", "1", *words), env=up.environment, stdout=subprocess.PIPE, text=True
        )
        for words in ([], ["--at", "row"])
    ]

    def all_ended():
        up.run("publish", "croissance/co2", '{"value": "450,5"}')
        return all(tap.poll() is not None for tap in taps)

    wait_until(all_ended, "each has shown a message", 120)
    arrived, stored = (tap.communicate()[0] for tap in taps)
    assert "number_in_text: a number in a string became a number" in arrived
    assert "measurements  co2" in stored


def test_down_takes_it_along(up):
    up.run("down")
    assert up.containers() == {}
