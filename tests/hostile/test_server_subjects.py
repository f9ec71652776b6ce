"""The devices' account of the embedded broker: all that listens there besides ingest and devices is out of a device's
reach. A new version of NATS that listens elsewhere makes these tests fail; they read from the server where it listens.
"""

import asyncio
import json
import re
import urllib.request

import pytest
from nats.aio.client import Client
from seve_embedded.logins import Logins
from seve_embedded.servers import mqtt_queue
from support.attacker import attacking
from support.conditions import free_port, wait_until
from support.embedded import NatsServer

LOGINS = Logins.of(lambda name: f"{name}-password", "seve-ingest-under-test")
INGEST = ("pipeline", LOGINS.pipeline)
OPERATOR = ("mqtt_operator", LOGINS.mqtt_operator)
ASKED_FOR = {">", "cmnd.lamp", "cmnd.lamp.>"}
"""Subjects that ingest and devices subscribe to in these tests."""

OPEN = ("$KV/a", "$O/a", "$SRV/PING", "$JSC/a", "$NRG/a", "$ACC/a", "_INBOX/a", "_R_/a")
"""Topics that look like a server's own; nothing listens on them in the devices' account. NATS itself refuses `$GR` and
`_GR_` to every client.
"""


@pytest.fixture
def server(tmp_path):
    """The embedded broker with all users that `up` gives it, and its monitoring."""
    server = NatsServer(
        tmp_path,
        http_port=free_port(),
        passwords=LOGINS.nats,
        ingest_password=LOGINS.pipeline,
        broker_password=LOGINS.broker,
        health_password=LOGINS.health,
        operator_password=LOGINS.mqtt_operator,
    )
    server.start()
    yield server
    server.stop()


@pytest.fixture
def ingest(server):
    with attacking(server.mqtt_url, "ingest", login=INGEST, clean=False) as ingest:
        assert ingest.subscribe("#", 2)
        assert ingest.subscribe("$SYS/broker/publish/messages/dropped")
        yield ingest


@pytest.fixture
def lamp(server):
    with attacking(server.mqtt_url, "lamp") as lamp:
        assert lamp.subscribe("cmnd/lamp/#")
        yield lamp


def broker(server):
    return f"nats://broker:{LOGINS.broker}@127.0.0.1:{server.port}"


def listening(server):
    """Return the subjects of all subscriptions in the devices' account while the user `broker` asks for its streams."""

    async def ask():
        client = Client()
        await client.connect(broker(server), inbox_prefix=mqtt_queue.INBOX_PREFIX)
        try:
            await client.jetstream().streams_info()
            return await asyncio.to_thread(subscriptions, server)
        finally:
            await client.close()

    return asyncio.run(ask())


def subscriptions(server):
    url = f"http://127.0.0.1:{server.options['http_port']}/subsz?subs=1&acc=DEVICES&limit=10000"
    with urllib.request.urlopen(url, timeout=10) as answer:
        found = json.load(answer)
    assert len(found["subscriptions_list"]) == found["total"]
    return {one["subject"] for one in found["subscriptions_list"]}


def refused(server, since):
    """Return the subjects of the messages that the server refused, by its log."""
    log = (server.folder / "server.log").read_bytes()[since:].decode()
    return {json.loads(subject) for subject in re.findall(r'Publish Violation - .*Subject ("\S+")', log)}


def test_a_device_publishes_to_no_subject_on_which_the_server_listens(server, ingest, lamp):
    """Sessions, retained messages, both halves of QoS 2, JetStream, the server's answers, those to its own users."""
    for qos in (0, 1, 2):
        lamp.publish(f"lamp/s{qos}", b"1", qos, retain=True)
    wait_until(lambda: len(ingest.received) == 3, "messages of each QoS")
    found = listening(server)
    assert found > ASKED_FOR
    subjects = {one.replace("*", "x").replace(">", "x.y") for one in found - ASKED_FOR}

    for login in (None, OPERATOR):
        with attacking(server.mqtt_url, "thief", login=login) as thief:
            before = (server.folder / "server.log").stat().st_size
            for subject in sorted(subjects):
                thief.publish(subject.replace(".", "/"))
            thief.publish("lamp/end", b"1", 1)
        assert refused(server, before) == subjects, login


@pytest.mark.parametrize("qos", [1, 2])
def test_a_device_has_no_subscription_that_keeps_messages(server, ingest, qos):
    """NATS grants `$MQTT.sub.…`, on which they arrive, without asking the allow list."""
    with attacking(server.mqtt_url, "kept", clean=False) as device:
        for topic in ("cmnd/kept/#", "kept/set/#", "+/set/#", "cmnd/#"):
            assert not device.subscribe(topic, qos), topic
            assert device.subscribe(topic), topic
        assert not device.subscribe("$MQTT/sub/#", qos)


def test_a_device_hears_nothing_of_the_server(server, ingest):
    with attacking(server.mqtt_url, "spy") as spy:
        for topic in ("#", "$MQTT/#", "$MQTT/sub/#", "$MQTT/deliver/pubrel/#", "$JS/#", "$SYS/#", "$SEVE/#", "_R_/#"):
            assert not spy.subscribe(topic), topic


def test_commands_to_a_module_named_like_the_server_are_silent(server, ingest, lamp):
    """`+/set/#` is `$JS/set/#` as well. The server says nothing there, and nobody else may."""
    with attacking(server.mqtt_url, "spy") as spy:
        for topic in ("$JS/set/#", "$SYS/set/#", "$SEVE/set/#", "+/set/#"):
            assert spy.subscribe(topic)
        for qos in (0, 1, 2):
            lamp.publish("$JS/set/x", b"1", qos)
            lamp.publish(f"lamp/s{qos}", b"1", qos, retain=True)
        listening(server)
        lamp.publish("lamp/set/x", b"on", 1)
        wait_until(lambda: spy.received, "the command")

        assert spy.received == [("lamp/set/x", b"on")]


def test_topics_that_only_look_like_the_servers_are_messages_of_a_device(server, ingest, lamp):
    """NATS keeps those that begin with `$` from `#`; none stays in the queue."""
    for qos in (0, 1, 2):
        for topic in OPEN:
            lamp.publish(topic, b"1", qos)
    lamp.publish("lamp/end", b"1", 1)
    heard = {topic for topic in OPEN if not topic.startswith("$")} | {"lamp/end"}
    wait_until(lambda: {topic for topic, _ in ingest.received} >= heard, "what does not begin with `$`")
    wait_until(lambda: not asyncio.run(mqtt_queue.waiting(broker(server))).messages, "an empty queue")

    assert {topic for topic, _ in ingest.received} == heard
    assert not lamp.thrown_out
