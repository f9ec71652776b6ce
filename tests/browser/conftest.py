"""Headless Chromium, the folder of the page on a bare web server, and a device that speaks MQTT."""

import asyncio
import http.server
import json
import socket
import threading
import time
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import nats
import paho.mqtt.client as mqtt
import pytest
from playwright.sync_api import expect, sync_playwright
from seve_schema.subjects import telemetry_subject
from seve_schema.times import format_time
from support.conditions import eventually, wait_until
from support.kinds import running
from support.screens import CLIENT
from support.stack import EmbeddedStack

ROOT = Path(__file__).parent.parent.parent
STATIC = ROOT / "services/broadcaster/src/seve_broadcaster/static"
CHROMIUM = Path("/usr/bin/chromium")
NETWORK_CHANGED = "net::ERR_NETWORK_CHANGED"
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
def stack(tmp_path_factory):
    """The embedded pipeline: what a browser shows does not depend on how the services were started."""
    with running(EmbeddedStack, tmp_path_factory.mktemp("browser")) as one:
        yield one


@pytest.fixture(scope="module")
def chromium():
    """A browser for one file: while Playwright runs, no other test of this thread can run an event loop."""
    expect.set_options(timeout=20_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium):
    """Opens an address in a browser of its own; the test fails for anything the page complains of.

    A lost connection, and the icon a browser asks of a bare file, are no complaint of the page. Chromium drops requests
    while an interface of the machine comes or goes, as containers' do: the address is then opened again.
    """
    complaints = []
    contexts = []

    def complain(message):
        if (
            "WebSocket connection" in message.text
            or NETWORK_CHANGED in message.text
            or message.location["url"].endswith("/favicon.ico")
        ):
            return
        if message.type in ("error", "warning"):
            complaints.append(f"{message.text} ({message.location['url']})")

    def go(url, *, width=1280, height=860, refused=None, **options):
        contexts.append(chromium.new_context(viewport={"width": width, "height": height}, locale="en-GB", **options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: f"status of {refused}" in message.text or complain(message))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        dropped = [url]
        page.on("requestfailed", lambda request: NETWORK_CHANGED in (request.failure or "") and dropped.append(url))
        while dropped:
            dropped.clear()
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


@pytest.fixture
def follow(open_page, page_url):
    """A browser page that holds nothing but a client of seve.js, with what it has seen in `seen`."""

    def go(url=page_url, **options):
        page = open_page(f"{url}icon.svg")
        page.evaluate(CLIENT, options)
        return page

    return go


@pytest.fixture
def held(page_url):
    """Waits until the broadcaster holds a value of a module."""

    def values(name):
        with urllib.request.urlopen(f"{page_url}api/modules", timeout=10) as answer:
            found = [module["values"] for module in json.load(answer)["modules"] if module["module"] == name]
        return {envelope["sensorType"]: envelope["value"] for envelope in (found[0] if found else [])}

    def wait(name, sensor, value):
        wait_until(lambda: values(name).get(sensor, "nothing") == value, f"{name}/{sensor} = {value} held")

    return wait


@pytest.fixture
def journal(stack):
    """Puts an envelope into the journal as ingest would: for names that this broker lets no device use."""

    async def put(subject, message):
        client = await nats.connect(stack.nats_url)
        await client.jetstream().publish(subject, message)
        await client.close()

    def publish(module, kind, **fields):
        now = format_time(time.time_ns() // 1000)
        envelope = {"topic": f"{module}/x", "moduleId": module, "kind": kind, "time": now, "clock": "server"}
        message = json.dumps([envelope | {"receivedAt": now, "value": None, "metadata": None} | fields]).encode()
        with ThreadPoolExecutor(1) as thread:  # a loop of its own: the browser's runs in this one
            thread.submit(asyncio.run, put(telemetry_subject("0a1b2c3d", kind), message)).result(30)

    return publish


class Device:
    """A module with a last will. Every publish is acknowledged by the broker before it returns."""

    def __init__(self, mqtt_url, name):
        host, port = mqtt_url.removeprefix("mqtt://").split(":")
        self.name = name
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
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
def name():
    """A module's name of the test's own: the stack is shared."""
    return f"page-{uuid.uuid4().hex[:8]}"


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


@pytest.fixture
def forget(stack):
    """Purges the journal, as writers do in time, once it holds a sample with that value and all of it is stored."""

    async def purge(module, value):
        client = await nats.connect(stack.nats_url)
        js = client.jetstream()

        async def held():
            newest = json.loads((await js.get_last_msg("TELEMETRY", "telemetry.*.measurement")).data)[-1]
            return (newest["moduleId"], newest["value"]) == (module, value)

        async def stored():
            consumer = await js.consumer_info("TELEMETRY", "writer")
            return consumer.num_pending + consumer.num_ack_pending == 0

        await eventually(held, f"{value} in the journal")
        await eventually(stored, "all of it stored")
        await js.purge_stream("TELEMETRY")
        await client.close()

    def go(module, value):
        with ThreadPoolExecutor(1) as thread:  # a loop of its own, as above
            thread.submit(asyncio.run, purge(module, value)).result(60)

    return go
