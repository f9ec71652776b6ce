"""Every part of the pipeline is stopped and killed under load, and the account closes: nothing lost, nothing twice.

The load is the simulated fleet, which counts sample by sample what was acknowledged, stored and seen. The ledger is
asked as well: every message of the journal is in it.
"""

import json
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from support import clients
from support.conditions import wait_until
from support.fleet import simulated
from support.kinds import KINDS, running
from support.ledger import accounted, assert_every_message_is_accounted_for
from support.mosquitto import Mosquitto, program

RATE, SECONDS = 300, 5


@pytest.fixture(scope="module", params=KINDS)
def pipeline(request, tmp_path_factory):
    """One pipeline for these stories; each leaves it running."""
    with running(request.param, tmp_path_factory.mktemp("restarts")) as one:
        yield one


@contextmanager
def fleet(stack, path):
    """A simulated fleet at work; when the context ends its account must close."""
    arguments = ("--modules=20", f"--rate={RATE}", f"--seconds={SECONDS}", "--report-every=2")
    with simulated(stack, path, *arguments) as run:
        run.wait_until_at_work()
        yield
        assert run.process.wait(90) == 0, run.text
        total = RATE * SECONDS
        assert f"sent {total} = acknowledged {total} = stored {total} = seen {total}" in run.text


@pytest.mark.parametrize("part", ["ingest", "writer", "broadcaster"])
def test_a_service_that_is_killed_costs_nothing(pipeline, tmp_path, part):
    """As the supervisor would, it is started again at once."""
    with fleet(pipeline, tmp_path):
        pipeline.kill(part)
        pipeline.launch(part)
    pipeline.wait_ready()
    assert_every_message_is_accounted_for(pipeline)


def test_services_restarted_in_turn_cost_nothing_and_end_cleanly(pipeline, tmp_path):
    """A deployment: each drains, ends with 0, and comes back. No message is committed twice on the way."""
    again = accounted(pipeline).again
    with fleet(pipeline, tmp_path):
        for part in pipeline.services:
            assert pipeline.terminate(part) == 0, pipeline.tail(part)
            pipeline.launch(part)
            pipeline.wait_ready()
    assert_every_message_is_accounted_for(pipeline)
    assert again == accounted(pipeline).again


@pytest.mark.parametrize("part", ["postgres", "nats"])
def test_a_server_that_is_killed_costs_nothing(pipeline, tmp_path, part):
    """The journal holds what the database cannot take; devices hold what the broker cannot take."""
    with fleet(pipeline, tmp_path):
        pipeline.kill(part)
        wait_until(lambda: not any(map(pipeline.ready, affected(part))), f"services notice that {part} is away")
        pipeline.launch(part)
    pipeline.wait_ready()
    assert_every_message_is_accounted_for(pipeline)


def affected(part):
    return ["writer"] if part == "postgres" else ["ingest", "writer", "broadcaster"]


def bursts(mqtt_url, stack, part):
    """Bare numbers, a thousand at a time; `part` is killed while they are on their way. Gives what is stored."""
    client = Client(CallbackAPIVersion.VERSION2, "no-clock")
    client.connect("127.0.0.1", urlsplit(mqtt_url).port)
    client.loop_start()
    for burst in range(3):
        sent = [client.publish(f"no-clock/{part}", str(burst * 1000 + n), 1) for n in range(1000)]
        stack.kill(part)
        stack.launch(part)
        for message in sent:
            message.wait_for_publish(20)
        stack.wait_ready()
    client.disconnect()
    client.loop_stop()
    sql = "SELECT value::int FROM measurements WHERE module_id = 'no-clock' AND sensor_type = %s"
    wait_until(lambda: len(stack.query(sql, part)) >= 3000, "all samples")
    return [value for (value,) in stack.query(sql, part)]


def test_samples_without_a_time_are_stored_once_though_ingest_is_killed(pipeline):
    """The broker redelivers unacknowledged messages; a sample without a time of its own is recognised nevertheless."""
    values = bursts(pipeline.mqtt_url, pipeline, "ingest")
    assert_every_message_is_accounted_for(pipeline)
    assert list(range(3000)) == sorted(values)


@pytest.mark.skipif(program() is None, reason="Mosquitto is not installed")
def test_samples_without_a_time_are_stored_once_though_the_journal_is_killed(make_stack, tmp_path):
    """Ingest publishes unacknowledged messages again, with their first time of receipt."""
    broker = Mosquitto(tmp_path)
    broker.start()
    try:
        values = bursts(broker.mqtt_url, make_stack(MQTT_BROKER=broker.mqtt_url), "nats")
    finally:
        broker.stop()
    assert list(range(3000)) == sorted(values)


def test_two_writers_share_the_work_and_one_may_die(make_stack, tmp_path):
    stack = make_stack(writers=2)
    with fleet(stack, tmp_path):
        stack.kill("writer-2")
    assert_every_message_is_accounted_for(stack)


def test_a_row_that_the_database_refuses_is_kept_and_its_neighbours_are_stored(pipeline):
    """The writer's dead letter has the envelope and the SQLSTATE; the ledger counts it."""
    pipeline.execute("ALTER TABLE measurements ADD CONSTRAINT no_devil CHECK (value <> 666) NOT VALID")
    with clients.device(pipeline.mqtt_url) as publish:
        for value in (665, 666, 667):
            publish("poison/co2", str(value))
    wait_until(lambda: pipeline.stream_messages("DEADLETTER", "deadletter.writer.>"), "the dead letter")
    (letter,) = map(json.loads, pipeline.stream_messages("DEADLETTER", "deadletter.writer.>"))
    assert (letter["service"], letter["envelope"]["value"], letter["sqlstate"]) == ("writer", 666, "23514")
    sql = "SELECT value FROM measurements WHERE module_id = 'poison' ORDER BY value"
    wait_until(lambda: pipeline.query(sql) == [(665,), (667,)], "its neighbours")
    pipeline.execute("ALTER TABLE measurements DROP CONSTRAINT no_devil")
    assert_every_message_is_accounted_for(pipeline)
    assert accounted(pipeline).outcomes.dead == 1
