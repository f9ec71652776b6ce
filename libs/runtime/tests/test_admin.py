"""Health and metrics over HTTP."""

import asyncio
import json
import socket
import threading
import urllib.error
import urllib.request

import pytest
from seve_runtime.admin import MAX_REQUESTS, Pages, admin
from seve_runtime.errors import SettingsError
from seve_runtime.health import Health
from support.conditions import eventually


def get(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


async def test_readiness_names_the_conditions_that_do_not_hold():
    """A failing probe has the reason in its answer."""
    health = Health("nats")
    async with admin("127.0.0.1:0", health) as port:
        status, body = await asyncio.to_thread(get, port, "/health/ready")
        assert (status, json.loads(body)) == (503, {"ready": False, "waiting": {"nats": "starting"}})
        health.holds("nats")
        status, body = await asyncio.to_thread(get, port, "/health/ready")
        assert (status, json.loads(body)) == (200, {"ready": True, "waiting": {}})


async def test_pages_of_a_service_are_served_as_json():
    """The answer to any other path lists the paths."""
    async with admin("127.0.0.1:0", Health(), pages=Pages({"/clients": lambda: [{"address": "::1"}]})) as port:
        assert await asyncio.to_thread(get, port, "/clients") == (200, b'[{"address": "::1"}]\n')
        status, body = await asyncio.to_thread(get, port, "/secrets")
        assert (status, body) == (404, b"/health/live /health/ready /metrics /clients\n")


async def test_liveness_asks_no_dependency():
    """A service that waits for its database must not be restarted for it."""
    async with admin("127.0.0.1:0", Health("database")) as port:
        assert (await asyncio.to_thread(get, port, "/health/live"))[0] == 200


def test_a_stalled_loop_is_not_live():
    """A process whose event loop did not run for 30 seconds should be restarted."""
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
    """The error names the setting to change."""
    async with admin("127.0.0.1:0", Health()) as port:
        with pytest.raises(SettingsError, match="ADMIN_LISTEN"):
            async with admin(f"127.0.0.1:{port}", Health()):
                pass


@pytest.mark.parametrize(
    ("host", "status"),
    [("evil.example", 421), ("ingest:9000", 200), ("localhost", 200), ("[::1]:9000", 200), (None, 200)],
)
async def test_a_request_that_names_another_host_is_refused(host, status):
    """The name of a foreign page may resolve to this server. Allowed names are listed; HTTP/1.0 needs no `Host`."""
    async with admin("127.0.0.1:0", Health(), hosts=["ingest"]) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        line = f"Host: {host}\r\n" if host else ""
        writer.write(f"GET /health/live HTTP/1.0\r\n{line}\r\n".encode())
        assert f" {status} ".encode() in await asyncio.wait_for(reader.readline(), 20)
        writer.close()


@pytest.mark.slow
async def test_idle_connections_do_not_block_the_admin_port():
    """With 200 idle connections the next request is answered, and there is at most one thread per allowed request."""
    async with admin("127.0.0.1:0", Health()) as port:
        idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(200)]
        try:
            assert (await asyncio.to_thread(get, port, "/health/live"))[0] == 200
            await eventually(
                lambda: (
                    sum("process_request_thread" in thread.name for thread in threading.enumerate()) <= MAX_REQUESTS
                ),
                "few threads",
                seconds=8,
            )
        finally:
            for sock in idle:
                sock.close()
