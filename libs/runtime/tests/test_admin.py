"""Health and metrics over HTTP."""

import asyncio
import json
import urllib.error
import urllib.request

import pytest
from seve_runtime.admin import admin
from seve_runtime.errors import SettingsError
from seve_runtime.health import Health


def get(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


async def test_readiness_names_what_is_waited_for():
    """A probe that fails says why."""
    health = Health("nats")
    async with admin("127.0.0.1:0", health) as port:
        status, body = await asyncio.to_thread(get, port, "/health/ready")
        assert (status, json.loads(body)) == (503, {"ready": False, "waiting": {"nats": "starting"}})
        health.holds("nats")
        status, body = await asyncio.to_thread(get, port, "/health/ready")
        assert (status, json.loads(body)) == (200, {"ready": True, "waiting": {}})


async def test_liveness_asks_no_dependency():
    """A service that waits for its database must not be restarted for it."""
    async with admin("127.0.0.1:0", Health("database")) as port:
        assert (await asyncio.to_thread(get, port, "/health/live"))[0] == 200


def test_a_stalled_loop_is_not_live():
    """Thirty seconds without a turn of the loop is a process worth restarting."""
    now = [0.0]
    health = Health(clock=lambda: now[0])
    assert health.live
    now[0] = 31.0
    assert not health.live


async def test_metrics_are_served_and_anything_else_is_not_found():
    """The Prometheus text format on /metrics."""
    async with admin("127.0.0.1:0", Health()) as port:
        status, body = await asyncio.to_thread(get, port, "/metrics")
        assert status == 200
        assert b"python_info" in body
        assert (await asyncio.to_thread(get, port, "/"))[0] == 404


async def test_a_taken_port_names_the_setting():
    """The error says what to change."""
    async with admin("127.0.0.1:0", Health()) as port:
        with pytest.raises(SettingsError, match="ADMIN_LISTEN"):
            async with admin(f"127.0.0.1:{port}", Health()):
                pass
