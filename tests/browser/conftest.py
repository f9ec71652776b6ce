"""Headless Chromium, the folder of the page on a bare web server, and a device that speaks MQTT."""

import http.server
import json
import socket
import threading
import time
from functools import partial
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from playwright.sync_api import sync_playwright
from servers.conditions import wait_until

ROOT = Path(__file__).parent.parent.parent
STATIC = ROOT / "services/broadcaster/src/seve_broadcaster/static"
SCREENSHOTS = ROOT / "screenshots"
CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if not CHROMIUM.exists():
                item.add_marker(pytest.mark.skip(reason=f"needs Chromium at {CHROMIUM} (Debian: apt install chromium)"))


@pytest.fixture(scope="session")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium):
    """Opens an address in a browser of its own; the test fails for anything the page complains of.

    What the browser itself reports of a connection that was lost is no complaint of the page.
    """
    complaints = []
    contexts = []

    def complain(message):
        if message.type in ("error", "warning") and "WebSocket connection" not in message.text:
            complaints.append(message.text)

    def go(url, *, width=1280, height=860, expect=(), **options):
        contexts.append(chromium.new_context(viewport={"width": width, "height": height}, locale="en-GB", **options))
        page = contexts[-1].new_page()
        page.on("console", complain)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        return page

    yield go
    for context in contexts:
        context.close()
    assert complaints == []


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """A test's log is its own."""

    def end_headers(self):
        self.send_header("Content-Security-Policy", "default-src 'self'")
        super().end_headers()


@pytest.fixture(scope="session")
def bare_url():
    """The page's files alone, for its pure modules: no broadcaster stands behind it."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(STATIC))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def page_url(stack):
    """Where the broadcaster of the running stack serves the page."""
    return stack.ws_url.replace("ws://", "http://").removesuffix("ws")


class Device:
    """A module with a last will. Every publish is acknowledged by the broker before it returns."""

    def __init__(self, mqtt_url, name):
        host, port = mqtt_url.removeprefix("mqtt://").split(":")
        self.name = name
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=f"device-{name}")
        self.client.will_set(f"{name}/status", "offline", qos=1)
        self.client.connect(host, int(port))
        self.client.loop_start()
        wait_until(self.client.is_connected, f"{name} connected")
        self.say("status", "online")

    def say(self, topic, body):
        payload = body if isinstance(body, str) else json.dumps(body)
        self.client.publish(f"{self.name}/{topic}", payload, qos=1).wait_for_publish(10)

    def sample(self, sensor, value, at=None):
        at = time.time() if at is None else at
        self.say(sensor, {"value": value, "time": at})

    def die(self):
        """Vanish without a word, so that the broker speaks the last will."""
        self.client.on_disconnect = None
        self.client.reconnect_delay_set(60, 60)
        self.client.socket().shutdown(socket.SHUT_RDWR)
        self.client.loop_stop()

    def leave(self):
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def device(stack):
    """Makes devices of the running stack."""
    devices = []

    def make(name, mqtt_url=None):
        devices.append(Device(mqtt_url or stack.mqtt_url, name))
        return devices[-1]

    yield make
    for one in devices:
        one.leave()
