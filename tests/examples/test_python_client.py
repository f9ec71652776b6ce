"""The examples do what they say, against the running stack."""

import json
import subprocess
import sys
import time
import uuid
from pathlib import Path

import paho.mqtt.publish
import pytest
from support.conditions import wait_until

CLIENT = Path(__file__).parent.parent.parent / "examples/python_client.py"


@pytest.fixture
def name():
    return f"example-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def lines(stack, name, tmp_path):
    """What the client prints, as it follows one module."""
    path = tmp_path / "lines"
    with path.open("wb") as out:
        client = subprocess.Popen([sys.executable, CLIENT, stack.ws_url, name], stdout=out, stderr=out)
    yield lambda: [line.split()[1:] for line in path.read_text().splitlines()]
    client.terminate()
    client.wait(10)


@pytest.fixture
def say(stack, name):
    host, port = stack.mqtt_url.removeprefix("mqtt://").split(":")

    def publish(value):
        payload = json.dumps({"value": value, "time": time.time()})
        paho.mqtt.publish.single(f"{name}/co2", payload, qos=1, hostname=host, port=int(port))

    return publish


def test_prints_what_a_module_measures(lines, say, name):
    """The newest value first, then each as it comes."""
    say(450.5)
    wait_until(lambda: lines() == [[name, "co2", "450.5"]], "the first value")
    say(451)
    say("")
    expected = [[name, "co2", text] for text in ("450.5", "451", "None")]
    wait_until(lambda: [[*line[:2], line[2].removesuffix(".0")] for line in lines()] == expected, "the next values")


def test_resumes_where_it_was_cut_off(lines, say, stack):
    """A server that dies costs no message and repeats none."""
    say(1)
    wait_until(lambda: len(lines()) == 1, "the first value")
    stack.kill("broadcaster")
    say(2)
    say(3)
    stack.launch("broadcaster")
    wait_until(lambda: [float(line[2]) for line in lines()] == [1, 2, 3], "what came meanwhile")
