"""Simulated devices on a real broker: an acknowledged message is at the broker, and a broken connection is reopened."""

import asyncio
import contextlib
import threading

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from seve_fleet.simulate.device import DeviceMessage
from seve_fleet.simulate.mqtt import Link
from support.conditions import eventually
from support.embedded import NatsServer

WILL = DeviceMessage("serre/status", b"offline", 1, retain=True)


@contextlib.asynccontextmanager
async def linked(server, client_id="serre"):
    link = Link(server.mqtt_url, client_id, WILL, username=None, password=None)
    running = asyncio.create_task(link.run())
    await asyncio.wait_for(link.connected.wait(), 10)
    yield link
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


@contextlib.contextmanager
def subscriber(server: NatsServer):
    """Collect everything that a plain client receives, as topic and payload."""
    got, ready = [], threading.Event()
    client = Client(CallbackAPIVersion.VERSION2, "listener")
    client.on_connect = lambda *_: client.subscribe("#", 1)
    client.on_subscribe = lambda *_: ready.set()
    client.on_message = lambda _c, _u, message: got.append((message.topic, message.payload))
    client.connect("127.0.0.1", server.mqtt_port)
    client.loop_start()
    assert ready.wait(10)
    yield got
    client.disconnect()
    client.loop_stop()


async def test_a_published_message_is_acknowledged_and_delivered(nats_server):
    acknowledged = []
    with subscriber(nats_server) as got:
        async with linked(nats_server) as link:
            link.publish(DeviceMessage("serre/co2", b"450", 1), lambda: acknowledged.append(1))
            await eventually(lambda: acknowledged and got, "acknowledged and delivered")
    assert got == [("serre/co2", b"450")]


async def test_messages_survive_the_death_of_the_broker(nats_server):
    """Unacknowledged messages are sent again when the broker is back; none waits for ever."""
    acknowledged = set()
    async with linked(nats_server) as link:
        nats_server.kill()
        await eventually(lambda: not link.connected.is_set(), "the loss noticed")
        for number in range(10):
            link.publish(DeviceMessage("serre/co2", b"%d" % number, 1), lambda number=number: acknowledged.add(number))
        nats_server.start()
        await eventually(lambda: len(acknowledged) == 10, "acknowledged by the broker that came back")
        assert link.room == 2000


async def test_a_link_that_is_cut_leaves_its_last_will(nats_server):
    with subscriber(nats_server) as got:
        async with linked(nats_server) as link:
            link._client.socket().shutdown(2)
            await eventually(lambda: got, "the last will delivered")
    assert got[0] == ("serre/status", b"offline")


async def test_unacknowledged_messages_take_room(nats_server):
    async with linked(nats_server) as link:
        nats_server.kill()
        await eventually(lambda: not link.connected.is_set(), "the loss noticed")
        link.publish(DeviceMessage("serre/co2", b"1", 1), lambda: None)
        assert link.room == 1999
