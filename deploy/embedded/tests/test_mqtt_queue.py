"""What happens to devices while ingest is away for longer than the broker's disk allows."""

import asyncio

import paho.mqtt.client as mqtt
import pytest
from nats.js.errors import NotFoundError
from seve_embedded.servers import mqtt_queue
from support.conditions import wait_until
from support.embedded import NatsServer

BYTES = 1 << 20
PAYLOAD = b"x" * 10_000


@pytest.fixture
def server(tmp_path):
    """A server with an account that looks after the queue."""
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
    """A device gets no acknowledgement once it is full; when ingest is back, every message comes, that one too."""
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


def test_nobody_sees_that_the_queue_is_looked_at(server, broker):
    """A device that subscribes to everything gets what devices publish, and nothing else."""
    device = Session(server, "device")
    device.client.subscribe("#", 1)
    wait_until(lambda: device.got == ["subscribed"], "the subscription")
    mqtt_queue.bound(broker, BYTES)
    asyncio.run(mqtt_queue.waiting(broker))
    device.client.publish("a/b", b"1", qos=1)
    wait_until(lambda: "a/b" in device.got, "the device's own message")
    device.leave()
    assert device.got == ["subscribed", "a/b"]


def test_before_the_first_device_there_is_no_queue(broker):
    """NATS makes it when somebody connects."""
    with pytest.raises(NotFoundError):
        mqtt_queue.bound(broker, BYTES)
