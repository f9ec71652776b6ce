"""Probes of real servers that work, are frozen, or refuse."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from seve_embedded.supervision import probes
from seve_embedded.supervision.treatment import NO_CURE
from support.conditions import free_port, wait_until
from support.embedded import NatsServer
from support.faults import frozen
from support.stack import LOGINS


@pytest.fixture
def watched_nats(tmp_path):
    server = NatsServer(tmp_path, passwords=LOGINS.nats, health_password=LOGINS.health)
    server.start()
    yield server
    server.stop()


@pytest.mark.slow
def test_a_nats_server_tells_its_health(watched_nats):
    login = LOGINS.health_environment(f"127.0.0.1:{watched_nats.port}")
    wait_until(lambda: probes.nats(login) is None, "well")
    with frozen(watched_nats):
        assert probes.nats(login) == probes.SILENT
    watched_nats.kill()
    assert probes.nats(login) == probes.NOT_LISTENING


def test_a_database_that_refuses_still_works(postgres_server):
    """A restart would not help against an unknown role."""
    wait_until(lambda: probes.postgres(postgres_server.url) is None, "well")
    stranger = postgres_server.url.replace("//postgres@", "//nobody@")
    wait_until(lambda: "does not exist" in probes.postgres(stranger).reason, "refused")
    assert probes.postgres(stranger).patience == NO_CURE
    with frozen(postgres_server):
        assert probes.postgres(postgres_server.url) == probes.SILENT
    postgres_server.kill()
    assert probes.postgres(postgres_server.url) == probes.NOT_LISTENING


@pytest.mark.parametrize(("status", "reason"), [(200, None), (503, "its event loop stands still")])
def test_a_service_is_judged_by_its_liveness(status, reason):
    class Live(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status if self.path == "/health/live" else 404)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Live) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        found = probes.service(server.server_port)
        thread.join()
    assert (found.reason if found else None) == reason


def test_a_port_that_accepts_but_does_not_answer_is_a_fault(monkeypatch):
    monkeypatch.setattr(probes, "PATIENCE", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert probes.service(listener.getsockname()[1]) == probes.SILENT
    assert probes.service(free_port()) == probes.NOT_LISTENING
