"""A device with the devices' password reads nothing but commands, at both brokers."""

import psutil
import pytest
from support.attacker import attacking
from support.conditions import wait_until
from support.embedded import NatsServer
from support.mosquitto import DeployedMosquitto, program

DEVICE = ("device", "shared")


def deployed_mosquitto(folder):
    if program() is None:
        pytest.skip("the program `mosquitto` is not installed")
    server = DeployedMosquitto(folder, MQTT_USERNAME=DEVICE[0], MQTT_PASSWORD=DEVICE[1])
    return server, server.pipeline


def embedded_nats(folder):
    return NatsServer(folder, ingest_password="secret", device=DEVICE), ("pipeline", "secret")


@pytest.fixture(params=[deployed_mosquitto, embedded_nats])
def broker(request, tmp_path):
    """A broker, and ingest's user and password there."""
    server, ingest = request.param(tmp_path)
    server.start()
    yield server, ingest
    server.stop()


def test_a_device_reads_nothing_of_another(broker):
    """Neither what comes by nor what is retained nor the broker's own counters."""
    server, ingest = broker
    with (
        attacking(server.mqtt_url, "ingest", login=ingest) as reader,
        attacking(server.mqtt_url, "honest", login=DEVICE) as honest,
        attacking(server.mqtt_url, "spy", login=DEVICE) as spy,
    ):
        assert reader.subscribe("#", 1)
        honest.publish("greenhouse/status", b"online", 1, retain=True)
        for topic in ("#", "+/+", "greenhouse/#", "$SYS/#"):
            spy.subscribe(topic)
        honest.publish("greenhouse/co2", b"1", 1)
        honest.publish("cmnd/spy/end", b"", 1)
        spy.subscribe("cmnd/spy/#")
        wait_until(lambda: ("greenhouse/co2", b"1") in reader.received, "the sample at ingest")
        honest.publish("cmnd/spy/end", b"now", 1)
        wait_until(lambda: ("cmnd/spy/end", b"now") in spy.received, "the command")

        assert {topic for topic, _ in spy.received} == {"cmnd/spy/end"}


@pytest.mark.parametrize("login", [None, ("device", "wrong"), ("device", ""), ("stranger", "shared")])
def test_a_stranger_is_refused(broker, login):
    server, _ = broker
    with attacking(server.mqtt_url, "stranger", login=login) as stranger:
        assert not stranger.admitted


def test_a_device_cannot_write_to_the_brokers_topics(broker):
    server, ingest = broker
    with (
        attacking(server.mqtt_url, "ingest", login=ingest) as reader,
        attacking(server.mqtt_url, "spy", login=DEVICE) as spy,
    ):
        assert reader.subscribe("#", 1)
        reader.subscribe("$SYS/#")
        for topic in ("$SYS/broker/publish/messages/dropped", "$CONTROL/dynamic-security/v1", "$SYS/forged"):
            spy.publish(topic, b"forged", 1, retain=True)
        spy.publish("honest/end", b"1", 1)
        wait_until(lambda: ("honest/end", b"1") in reader.received, "the last message")

        assert b"forged" not in [payload for _, payload in reader.received]


def test_mosquitto_opens_one_port(tmp_path):
    """A limit written outside a listener would open a second one, on 1883, beside the one with a password."""
    server, _ = deployed_mosquitto(tmp_path)
    server.start()
    try:
        sockets = psutil.Process(server.process.pid).net_connections("tcp")
        listening = {one.laddr.port for one in sockets if one.status == psutil.CONN_LISTEN}
    finally:
        server.stop()
    assert listening == {server.port}
