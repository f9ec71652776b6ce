"""The load generator sends exactly what it was asked to, each sample under a time of its own."""

import json
import subprocess
import sys

import pytest
from seve_fleet.load.publisher import Load, Samples, run


def test_topics_take_turns_and_times_rise():
    """Modules first, then their sensors; two samples never share a time, though the clock stands still."""
    samples = Samples("load", 2)
    messages = samples.take(range(3), 1_764_500_000_000_000) + samples.take(range(3, 5), 1_764_500_000_000_000)
    assert [t for t, _ in messages[:3]] == [b"load-000/temperature", b"load-001/temperature", b"load-000/humidity"]
    times = [json.loads(payload)["time"] for _, payload in messages]
    assert sorted(set(times)) == times


@pytest.mark.parametrize("qos", [0, 1])
async def test_all_of_it_is_sent_and_acknowledged(nats_server, qos):
    result = await run(Load(nats_server.mqtt_url, rate=2000, seconds=0.5, modules=5, connections=2, qos=qos))
    assert (result.sent, result.acknowledged) == (1000, 1000)


def test_the_command_ends_with_its_result(nats_server):
    command = [
        sys.executable,
        "-m",
        "seve_fleet.load.publisher",
        nats_server.mqtt_url,
        "--rate",
        "1000",
        "--seconds",
        "0.2",
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["sent"], result["acknowledged"]) == (200, 200)


def test_a_broker_that_is_away_is_a_failure():
    command = [sys.executable, "-m", "seve_fleet.load.publisher", "mqtt://127.0.0.1:1", "--seconds", "0.1"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    assert (done.returncode, "broke off" in done.stderr) == (1, True)
