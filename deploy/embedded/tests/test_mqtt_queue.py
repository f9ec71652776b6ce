"""What happens to devices while ingest is down for longer than the broker's bounds allow."""

import asyncio
import contextlib

import paho.mqtt.client as mqtt
import pytest
from nats.aio.client import Client
from nats.js.errors import NotFoundError
from seve_embedded.servers import mqtt_queue
from support.attacker import attacking
from support.conditions import wait_until
from support.embedded import NatsServer

BYTES = 1 << 20
PAYLOAD = b"x" * 10_000


@pytest.fixture
def server(tmp_path):
    """A server with the user that bounds and reads the queue."""
    server = NatsServer(tmp_path, broker_password="look")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def broker(server):
    return f"nats://broker:look@127.0.0.1:{server.port}"


class Session:
    """An MQTT client with a session that the broker keeps."""

    def __init__(self, server, name):
        self.got = []
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, clean_session=False)
        self.client.on_message = lambda _client, _data, message: self.got.append(message.topic)
        self.client.on_subscribe = lambda *_: self.got.append("subscribed")
        self.client.connect("127.0.0.1", server.mqtt_port)
        self.client.loop_start()

    def leave(self):
        self.client.disconnect()
        self.client.loop_stop()


def test_a_full_queue_refuses_and_loses_nothing(server, broker):
    """A device gets no acknowledgement once the queue is full. When ingest is back, every message arrives, also that
    one.
    """
    ingest = Session(server, "ingest")
    ingest.client.subscribe("#", 1)
    wait_until(lambda: ingest.got == ["subscribed"], "the subscription")
    ingest.leave()
    mqtt_queue.bound(broker, BYTES)
    mqtt_queue.bound(broker, BYTES)

    device = Session(server, "device")
    for number in range(2 * BYTES // len(PAYLOAD)):
        last = device.client.publish(f"a/{number}", PAYLOAD, qos=1)
        last.wait_for_publish(2)
        if not last.is_published():
            break
    held = asyncio.run(mqtt_queue.waiting(broker))
    assert not last.is_published()
    assert (held.messages, held.limit) == (number, BYTES)
    assert BYTES - 2 * len(PAYLOAD) < held.size <= BYTES

    back = Session(server, "ingest")
    wait_until(lambda: set(back.got) == {f"a/{earlier}" for earlier in range(number + 1)}, "every message")
    wait_until(last.is_published, "the acknowledgement of the last")
    device.leave()
    back.leave()


def test_devices_see_nothing_of_the_reading_of_the_queue(server, broker):
    """A device that subscribes to everything gets only messages of devices."""
    device = Session(server, "device")
    device.client.subscribe("#", 1)
    wait_until(lambda: device.got == ["subscribed"], "the subscription")
    mqtt_queue.bound(broker, BYTES)
    asyncio.run(mqtt_queue.waiting(broker))
    device.client.publish("a/b", b"1", qos=1)
    wait_until(lambda: "a/b" in device.got, "the device's own message")
    device.leave()
    assert device.got == ["subscribed", "a/b"]


def test_devices_cannot_fill_the_broker_for_others(server, broker, monkeypatch):
    """Full of sessions and retained messages, the broker still accepts samples of known sessions, and ingest
    connects.
    """
    ingest = Session(server, "ingest")
    ingest.client.subscribe("#", 1)
    wait_until(lambda: ingest.got == ["subscribed"], "the subscription")
    ingest.leave()
    monkeypatch.setattr(mqtt_queue, "OTHERS", dict.fromkeys(mqtt_queue.OTHERS, 16_384))
    mqtt_queue.bound(broker, BYTES)

    device = Session(server, "honest")
    device.client.subscribe("cmnd/honest/#", 0)
    wait_until(lambda: device.got == ["subscribed"], "the device connected")
    for number in range(300):
        with contextlib.suppress(ConnectionResetError):
            Session(server, f"invented-{number}").leave()
    for number in range(20):
        device.client.publish(f"r/{number}", PAYLOAD, qos=1, retain=True).wait_for_publish(10)
    held = asyncio.run(streams(broker))
    assert all(held[name] <= 16_384 for name in mqtt_queue.OTHERS)
    assert held["$MQTT_sess"] > 16_000
    device.client.publish("a/b", b"1", qos=1).wait_for_publish(10)
    device.leave()

    back = Session(server, "ingest")
    wait_until(lambda: "a/b" in back.got, "the honest message")
    assert {f"r/{number}" for number in range(20)} <= set(back.got)
    back.leave()


def test_a_client_has_a_thousand_subscriptions_at_most(server):
    """Further ones are refused; the existing ones continue."""
    with attacking(server.mqtt_url, "greedy") as greedy:
        granted = [greedy.subscribe(f"cmnd/{number}") for number in range(1100)]
        greedy.publish("cmnd/0", b"on")
        wait_until(lambda: greedy.received, "a command")
    assert granted == [True] * 1000 + [False] * 100


async def streams(broker):
    """Return the bytes in each stream of the broker."""
    client = Client()
    await client.connect(broker, inbox_prefix=mqtt_queue.INBOX_PREFIX)
    try:
        return {info.config.name: info.state.bytes for info in await client.jetstream().streams_info()}
    finally:
        await client.close()


def test_before_the_first_device_there_is_no_queue(broker):
    """NATS creates it when the first client connects."""
    with pytest.raises(NotFoundError):
        mqtt_queue.bound(broker, BYTES)
