"""The NATS connection survives the loss of its server."""

import asyncio

import pytest
from seve_runtime.errors import Stopped
from seve_runtime.health import Health
from seve_runtime.nats.connection import NatsSettings, connected
from support.conditions import eventually


async def test_the_client_reconnects_after_a_lost_server(nats_server):
    """Readiness follows the connection; subscriptions survive it."""
    health, stop = Health("nats"), asyncio.Event()
    async with connected(NatsSettings(nats_url=(nats_server.url,)), "test", health, stop) as client:
        subscription = await client.subscribe("here")
        assert health.ready
        await asyncio.to_thread(nats_server.kill)
        await eventually(lambda: not health.ready, "not ready without NATS")
        await asyncio.to_thread(nats_server.start)
        await eventually(lambda: health.ready, "ready again")
        await client.publish("here", b"still")
        assert (await subscription.next_msg(timeout=10)).data == b"still"


async def test_a_connection_can_be_closed_without_its_server(nats_server):
    """A service can stop during an outage."""
    health, stop = Health("nats"), asyncio.Event()
    async with asyncio.timeout(20):
        async with connected(NatsSettings(nats_url=(nats_server.url,)), "test", health, stop) as client:
            await client.subscribe("here")
            await asyncio.to_thread(nats_server.kill)
            await eventually(lambda: not health.ready, "not ready without NATS")
        assert client.is_closed


async def test_waiting_for_a_server_ends_with_the_stop():
    """Without a server the service waits, is not ready, and can be stopped."""
    health, stop = Health("nats"), asyncio.Event()
    asyncio.get_running_loop().call_later(0.2, stop.set)
    with pytest.raises(Stopped):
        async with connected(NatsSettings(nats_url=("nats://127.0.0.1:1",)), "test", health, stop):
            pytest.fail("connected to nothing")
    assert health.reasons == {"nats": "connecting"}
