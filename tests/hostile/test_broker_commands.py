"""A device speaks to the broker itself: to its streams, its counters, its sessions. Nobody but the device notices."""

import pytest
from support.attacker import Attacker
from support.conditions import wait_until

STREAMS = ("$MQTT_msgs", "$MQTT_sess", "$MQTT_rmsgs", "$MQTT_out", "$MQTT_qos2in")
COMMANDS = (
    *(f"$JS/API/STREAM/{verb}/{stream}" for verb in ("PURGE", "DELETE") for stream in STREAMS),
    "$JS/API/STREAM/CREATE/EVIL",
    "$JS/API/CONSUMER/CREATE/$MQTT_msgs",
    "$JS/ACK/$MQTT_msgs/x/1/1/1/1/0",
    "/$JS/API/STREAM/PURGE/$MQTT_msgs",
    "$js/api/stream/purge/$MQTT_msgs",
    "$JS//API/STREAM/PURGE/$MQTT_msgs",
    "$SYS/REQ/ACCOUNT/PURGE",
    "$MQTT/msgs/forged/co2",
    "$MQTT/sess/x",
)
CREATE = b'{"name": "EVIL", "subjects": ["evil.>"], "storage": "file"}'
DROPPED = "$SYS/broker/publish/messages/dropped"
COUNT = 20


def stored(stack, module):
    return stack.query("SELECT count(*) FROM measurements WHERE module_id = %s", module) == [(COUNT,)]


@pytest.fixture
def waiting(stack, publish, module):
    """Messages that the broker acknowledged while ingest is away; ingest is back after the test."""
    stack.terminate("ingest")
    for number in range(COUNT):
        publish(f"{module}/s{number}", number)
    yield module
    if stack.gone("ingest"):
        stack.restart("ingest")


def test_no_message_is_a_command(stack, waiting, attacker):
    for command in COMMANDS:
        payload = CREATE if "CREATE" in command else b""
        for qos in (0, 1, 2):
            attacker.publish(command, payload, qos)
            attacker.publish(command, payload, qos, retain=True)

    stack.launch("ingest")
    wait_until(lambda: stored(stack, waiting), "every message that was acknowledged, as a row")


def test_no_last_will_is_a_command(stack, waiting):
    for number, command in enumerate(COMMANDS):
        Attacker(stack.mqtt_url, f"dying-{number}", will=command).break_off()

    stack.launch("ingest")
    wait_until(lambda: stored(stack, waiting), "every message that was acknowledged, as a row")


def test_the_brokers_own_subjects_are_silent(stack, attacker, publish, module):
    """Commands, answers, sessions: not even those that come by while honest devices publish."""
    filters = ("$JS/#", "$MQTT/#", "$SYS/#", "$SEVE/#", "_INBOX/#", "_R_/#", "+/API/#", "$JS/+/+/+/+", "#")
    for topic in filters:
        attacker.subscribe(topic)
    stack.restart("ingest")
    publish(f"{module}/co2", 1)
    wait_until(lambda: stack.query("SELECT 1 FROM measurements WHERE module_id = %s", module), "the row")

    assert not [topic for topic, _ in attacker.received if topic.startswith(("$", "_"))]


def test_the_brokers_counters_cannot_be_forged(stack, attacker, publish, module):
    """Ingest shows what the broker says it dropped; a number with 5,000 digits would end its read of the socket."""
    before = stack.metrics("ingest")["seve_ingest_broker_dropped_messages"]
    for forged in (b"12345", b"9" * 310, b"9" * 5000):
        attacker.publish(DROPPED, forged)
        attacker.publish(DROPPED, forged, 1, retain=True)
    for number in range(COUNT):
        publish(f"{module}/s{number}", number)
    wait_until(lambda: stored(stack, module), "every row")

    assert stack.metrics("ingest")["seve_ingest_broker_dropped_messages"] == before


def test_subscribers_that_left_hold_nothing_up(stack, publish, module):
    """A session that nobody comes back for keeps no message in the broker's queue."""
    for number in range(20):
        gone = Attacker(stack.mqtt_url, f"gone-{number}", clean=False)
        for qos in (1, 2):
            gone.subscribe("#", qos)
        gone.leave()
    for number in range(COUNT):
        publish(f"{module}/s{number}", number)
    wait_until(lambda: stored(stack, module), "every row")

    with_all_back = Attacker(stack.mqtt_url, "gone-0", clean=False)
    publish(f"{module}/s0", COUNT)
    with_all_back.leave()
    assert not with_all_back.received
