"""A real journal to publish to, a real broadcaster in this process, and a client that reads all frames."""

import asyncio
import json
import threading
from contextlib import asynccontextmanager

import uvloop
from prometheus_client import CollectorRegistry
from seve_broadcaster.app import run
from seve_broadcaster.settings import Settings
from seve_runtime import settings as runtime_settings
from seve_runtime.nats.topology import TopologySettings
from seve_schema.codec import encode
from seve_schema.envelope import Envelope
from seve_schema.subjects import ingest_name, telemetry_subject
from websockets.asyncio.client import connect

from support.conditions import accepts, eventually, free_port

INGEST = ingest_name("test")
SUBJECT = telemetry_subject(INGEST, "measurement")
SMALL = TopologySettings(journal_max_bytes=64 << 20, history_max_bytes=64 << 20)


def envelope(module, value, *, sensor="co2", kind="measurement", **more):
    """Return an envelope as ingest builds it."""
    fields = {"topic": f"{module}/{sensor}", "time": "2025-11-30T19:00:00.000000Z", "clock": "device"}
    fields |= {"received_at": "2025-11-30T19:00:00.000000Z"}
    if kind == "measurement":
        fields |= {"sensor_type": sensor, "value": value}
    else:
        fields |= {"topic": f"{module}/{kind}", "metadata": value}
    return Envelope(module_id=module, kind=kind, **{**fields, **more})


class Journal:
    """The journal of a NATS server, to publish to."""

    def __init__(self, client):
        self.client = client
        self.js = client.jetstream()

    async def publish(self, *envelopes):
        """Publish one NATS message; return its sequence."""
        return await self.publish_raw(encode(envelopes), envelopes[0].kind)

    async def publish_raw(self, data, kind="measurement"):
        """Publish a NATS message of one kind with any data; return its sequence."""
        return (await self.js.publish(telemetry_subject(INGEST, kind), data)).seq


class Broadcaster(threading.Thread):
    """A broadcaster on uvloop, as in production, in a thread of its own."""

    def __init__(self, environ):
        super().__init__(name="broadcaster")
        self.settings = runtime_settings.load(Settings, environ)
        self.registry = CollectorRegistry()
        self.failure = None
        self._begun = threading.Event()

    def run(self):
        try:
            uvloop.run(self._main())
        except BaseException as error:  # raised in the test, by `end`
            self.failure = error
            self._begun.set()

    async def _main(self):
        self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
        self._begun.set()
        await run(self.settings, self._ending, self.registry)

    async def end(self):
        """Stop as SIGTERM does. Raises the error with which the broadcaster failed."""
        self._begun.wait()
        if self.is_alive():
            self._loop.call_soon_threadsafe(self._ending.set)
        await asyncio.to_thread(self.join, 20)
        assert not self.is_alive()
        if self.failure is not None:
            raise self.failure

    def metric(self, name, **labels):
        """Return the current value of a sample."""
        return self.registry.get_sample_value(f"seve_broadcaster_{name}", labels)


@asynccontextmanager
async def broadcasting(nats_url, **environ):
    """Run a broadcaster and wait until it is ready; yields its `ws://` URL, which has it as an attribute."""
    port = free_port()
    environ = {
        "NATS_URL": nats_url,
        "WS_LISTEN": f"127.0.0.1:{port}",
        "SHUTDOWN_GRACE": "10s",
        "MODULE_FORGET_AFTER": "0s",  # the envelopes of `envelope` are old
        **environ,
    }
    environ.setdefault("MODULE_SILENT_AFTER", "0s")  # as above
    broadcaster = Broadcaster(environ)
    broadcaster.start()
    try:
        await eventually(lambda: accepts(port) or not broadcaster.is_alive(), "the broadcaster listening")
        yield Url(f"ws://127.0.0.1:{port}/ws", broadcaster)
    finally:
        await broadcaster.end()


class Url(str):
    """The URL of a broadcaster, with the `broadcaster` itself."""

    __slots__ = ("broadcaster",)

    def __new__(cls, url, broadcaster):
        self = super().__new__(cls, url)
        self.broadcaster = broadcaster
        return self


class Screen:
    """A client; `frames` has the received frames, decoded, in order."""

    def __init__(self, connection):
        self.connection = connection
        self.frames = []

    async def say(self, **message):
        await self.connection.send(json.dumps(message))

    async def read(self):
        """Return the next frame. Raises ConnectionClosed."""
        async with asyncio.timeout(20):
            self.frames.append(json.loads(await self.connection.recv()))
        return self.frames[-1]

    async def until(self, event, count=1):
        """Return the frames up to and including the `count`-th next `event`."""
        read = []
        while count:
            read.append(await self.read())
            count -= read[-1]["event"] == event
        return read


@asynccontextmanager
async def watching(url, *, modules=None, headers=None, subprotocols=None, tls=None, **options):
    """A connected client; with `modules`, subscribed to them."""
    limits = {"max_size": None, "max_queue": None}
    async with connect(
        url, compression=None, additional_headers=headers, subprotocols=subprotocols, ssl=tls, **limits
    ) as connection:
        screen = Screen(connection)
        if modules:
            await screen.say(action="subscribe", modules=modules, **options)
        yield screen
