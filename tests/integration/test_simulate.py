"""`seve-simulate` tells the truth: the account closes, or what is missing is said and the exit code is 1."""

import signal

import msgspec
import pytest
from seve_fleet.simulate.result import Outcome
from support.fleet import simulated
from support.mosquitto import Mosquitto, program

SMALL = ("--modules=5", "--rate=200", "--seconds=2", "--report-every=1")


@pytest.mark.parametrize("connections", ["--connections=0", "--connections=2"])
def test_the_account_of_a_run_closes(stack, tmp_path, connections):
    """On a connection a module or on shared ones."""
    with simulated(stack, tmp_path, *SMALL, connections) as run:
        assert run.process.wait(60) == 0, run.text
        assert "samples   sent 400 = acknowledged 400 = stored 400 = seen 400" in run.text
        assert "the account closes" in run.text


def test_modules_without_a_clock_are_counted_apart(stack, tmp_path):
    """Nothing is promised for QoS 0; undisturbed, it arrives all the same."""
    with simulated(stack, tmp_path, *SMALL, "--clockless=2") as run:
        assert run.process.wait(60) == 0, run.text
        assert "samples   sent 240 = acknowledged 240 = stored 240 = seen 240" in run.text
        assert "QoS 0     sent 160, seen 160" in run.text


def test_a_run_shorter_than_the_time_between_reports_closes_too(stack, tmp_path):
    """What was not said is not asked for."""
    with simulated(stack, tmp_path, "--modules=50", "--rate=100", "--seconds=1", "--report-every=30") as run:
        assert run.process.wait(60) == 0, run.text


def test_every_table_knows_the_fleet_afterwards(stack, tmp_path):
    """Its modules have said offline, and told what they are made of."""
    with simulated(stack, tmp_path, *SMALL) as run:
        assert run.process.wait(60) == 0, run.text
    name = run.text.split(":")[0]
    like = f"{name}-%"
    assert stack.query("SELECT DISTINCT status FROM device_presence WHERE module_id LIKE %s", like) == [("offline",)]
    assert stack.query("SELECT count(*), min(cores) FROM device_hardware WHERE module_id LIKE %s", like) == [(5, 2)]
    assert stack.query("SELECT count(*) FROM sensor_status WHERE module_id LIKE %s", like) == [(25,)]


def test_missing_samples_are_named_by_the_account(make_stack, tmp_path):
    """Without a writer nothing is stored, and the run says so."""
    stack = make_stack()
    stack.kill("writer")
    with simulated(stack, tmp_path, *SMALL, PATIENCE="1s") as run:
        assert run.process.wait(60) == 1, run.text
        assert "samples   sent 400, acknowledged 400, stored 0, seen 400" in run.text
        assert "400 samples never stored: sim-" in run.text


@pytest.mark.skipif(program() is None, reason="Mosquitto is not installed")
def test_a_broker_that_refuses_is_an_answer(stack, tmp_path):
    """Trying again would be no use."""
    broker = Mosquitto(tmp_path, anonymous=False)
    broker.start()
    try:
        with simulated(stack, tmp_path, *SMALL, MQTT_BROKER=broker.mqtt_url) as run:
            assert run.process.wait(30) == 1, run.text
            assert "cannot simulate: Not authorized" in run.text
    finally:
        broker.stop()


def test_an_interrupted_run_ends_at_once_without_an_account(stack, tmp_path):
    with simulated(stack, tmp_path, "--modules=5", "--rate=50", "--seconds=600") as run:
        run.wait_until_at_work()
        run.process.send_signal(signal.SIGINT)
        assert run.process.wait(30) == 1
        assert "interrupted: there is no account" in run.text


@pytest.mark.parametrize(
    ("variable", "words"),
    [
        ("DATABASE_URL", "the database does not answer"),
        ("WS_URL", "no live WebSocket"),
        ("MQTT_BROKER", "no MQTT broker"),
    ],
)
def test_an_unreachable_server_is_named_at_once(stack, tmp_path, variable, words):
    nowhere = {
        "DATABASE_URL": "postgresql://127.0.0.1:1/x",
        "WS_URL": "ws://127.0.0.1:1/ws",
        "MQTT_BROKER": "mqtt://127.0.0.1:1",
    }
    with simulated(stack, tmp_path, *SMALL, **{variable: nowhere[variable], "PATIENCE": "1s"}) as run:
        assert run.process.wait(60) == 1, run.text
        assert f"cannot simulate: {words}" in run.text


def test_the_account_can_be_had_as_a_value(stack, tmp_path):
    """Sample by sample, for a program that judges for itself."""
    file = tmp_path / "account.json"
    with simulated(stack, tmp_path, *SMALL, f"--account={file}") as run:
        assert run.process.wait(60) == 0, run.text
    account = msgspec.json.decode(file.read_bytes(), type=Outcome)
    assert (account.sent, account.acknowledged, account.seen) == (400, 400, 400)
    assert (account.unstored, account.unseen, account.strange, account.missing_rows) == ([], [], 0, [])
