"""The MQTT session: connects, subscribes, reads while there is room, acknowledges stored messages, and disconnects
without losing the session. Knows nothing about the meaning of topics.
"""

import asyncio
import math
import random
import ssl
from typing import Any, Final

import structlog
from paho.mqtt.client import ConnectFlags, DisconnectFlags
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from seve_runtime.errors import Stopped, describe
from seve_runtime.health import Health
from seve_runtime.lifecycle import Stop, first_of, pause, unless

from seve_ingest import metrics
from seve_ingest.mqtt import connect
from seve_ingest.mqtt.client import FastClient
from seve_ingest.mqtt.read_pace import until_next_read
from seve_ingest.mqtt.reconnect import Retries
from seve_ingest.pipeline import DROPPED, Pipeline
from seve_ingest.publish.redelivery import UNREAD
from seve_ingest.publisher import Publisher
from seve_ingest.settings import BrokerSettings

log = structlog.get_logger()

CONDITION: Final = "mqtt"
"""The readiness condition: connected, with every subscription granted."""

NEVER: Final = 0xFFFFFFFF
"""MQTT 5: the session does not expire while ingest is away."""


class MqttSession:
    """One session at one broker, over any number of connections. `finished` is set after the last read; `grace` is how
    long a stop may wait for acks, in seconds.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        tls: ssl.SSLContext | None,
        pipeline: Pipeline,
        publisher: Publisher,
        health: Health,
        *,
        grace: float,
    ) -> None:
        self._settings = settings
        self._tls = tls
        self._pipeline = pipeline
        self._publisher = publisher
        self._health = health
        self._grace = grace
        self.finished = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._client = self._make_client()
        self._reader: int | None = None
        self._paused = False
        self._next_read: asyncio.TimerHandle | None = None
        self._last_read = -math.inf
        self._emptied = 0.0
        self._leaving = False
        self._had_session = False
        self._since: float | None = None
        self._retries = Retries(settings.mqtt_reconnect)
        self._lost = asyncio.Event()
        self._accepted = asyncio.Event()
        self._filters: dict[int | None, str] = {}

    async def run(self, stop: Stop) -> None:
        """Connect and reconnect until `stop`; then wait for messages in flight and disconnect."""
        try:
            await self._connect_for_ever(stop)
            await self._leave()
        finally:
            self.finished.set()
            self._pipeline.progress.set()

    async def acknowledge(self, _stop: Stop) -> None:
        """Acknowledge stored messages, once per turn of the event loop, until the session is finished."""
        while not self.finished.is_set():
            await self._pipeline.progress.wait()
            self._pipeline.progress.clear()
            self._acknowledge()

    async def _connect_for_ever(self, stop: Stop) -> None:
        while not stop.is_set():
            try:
                await unless(stop, self._connected())
            except Stopped:
                break
            except OSError as error:
                self._fails(f"cannot connect: {describe(error)}")
            await pause(stop, self._retries.after(self._lasted()) * random.uniform(1, 1.25))  # noqa: S311  (jitter)

    def _lasted(self) -> float:
        """Return how long the connection that ended was accepted (seconds); 0 if it was not."""
        since, self._since = self._since, None
        return 0.0 if since is None else self._loop.time() - since

    async def _connected(self) -> None:
        """Connect, and serve the connection until it is lost."""
        host, port = connect.address(self._settings)
        timeout = self._settings.mqtt_connect_timeout
        name = self._settings.mqtt_server_name or host
        opened = await connect.connect(host, port, self._tls, name, patience=timeout)
        self._lost.clear()
        self._accepted.clear()
        self._client.open(opened)
        try:
            async with asyncio.timeout(timeout):
                await first_of(self._accepted, self._lost)
        except TimeoutError:
            self._fails("the broker did not answer CONNECT")
            self._client.close()
        while not self._lost.is_set():
            if self._paused:
                self._client.stay_alive()
            else:
                self._client.loop_misc()
            await first_of(self._lost, patience=1.0)
            self._note_empty()
        self._pipeline.connection_lost()

    async def _leave(self) -> None:
        """Stop reading, wait for JetStream's acks, acknowledge, disconnect. The broker keeps late messages."""
        self._leaving = True
        self._pause()
        try:
            async with asyncio.timeout(self._grace):
                while self._pipeline.queues.envelopes:
                    await self._pipeline.progress.wait()
                    await asyncio.sleep(0)  # `acknowledge` clears it
        except TimeoutError:
            count = self._pipeline.acks.waiting
            log.warning("stopping with messages unacknowledged; the broker keeps them", count=count)
        if not self._client.is_connected():
            return
        self._acknowledge()
        self._client.disconnect()
        await first_of(self._lost, patience=self._grace / 5)

    def _make_client(self) -> FastClient:
        version5 = self._settings.mqtt_version == "5"
        client = FastClient(
            CallbackAPIVersion.VERSION2,
            client_id=self._settings.mqtt_client_id,
            clean_session=None if version5 else False,
            protocol=MQTTProtocolVersion.MQTTv5 if version5 else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        properties = None
        if version5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = NEVER
        host, port = connect.address(self._settings)
        keepalive = self._settings.mqtt_keepalive
        client.connect_async(host, port, keepalive, clean_start=False, properties=properties)
        password = self._settings.mqtt_password
        if self._settings.mqtt_username:
            client.username_pw_set(self._settings.mqtt_username, password.reveal() if password else None)
        client.on_socket_open = self._opened
        client.on_socket_close = self._closed
        client.on_socket_register_write = self._writing
        client.on_socket_unregister_write = self._written
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        return client

    def _opened(self, _client: Any, _data: Any, sock: Any) -> None:
        self._reader = sock.fileno()
        self._emptied = self._loop.time()
        self._resume()

    def _closed(self, _client: Any, _data: Any, _sock: Any) -> None:
        self._look_away()
        self._reader = None

    def _writing(self, _client: Any, _data: Any, sock: Any) -> None:
        self._loop.add_writer(sock.fileno(), self._writable)

    def _written(self, _client: Any, _data: Any, sock: Any) -> None:
        self._loop.remove_writer(sock.fileno())

    def _writable(self) -> None:
        self._client.loop_write()

    def _read(self) -> None:
        """Read what has come. Read again at the pace that this read asks for, or when bytes arrive."""
        client = self._client
        client.loop_read()
        now, emptied = self._loop.time(), self._emptied
        if client.emptied:
            self._emptied = now
        if client.arrived:
            arrived, client.arrived = client.arrived, []
            self._pipeline.take(arrived, now - emptied)
            self._publisher.send()
            last, self._last_read = self._last_read, now
            if self._pipeline.full:
                self._pause()
            elif pace := until_next_read(len(arrived), now - last):
                self._look_later(pace)
                return
        if self._next_read is not None:
            self._look()

    def _note_empty(self) -> None:
        """Note that the socket is empty: else it would have been read. A turn that comes late proves nothing."""
        now = self._loop.time()
        if self._client.emptied and not self._paused and now - self._emptied < UNREAD:
            self._emptied = now

    def _look(self) -> None:
        """Read as soon as bytes arrive."""
        self._next_read = None
        if self._reader is not None:
            self._loop.add_reader(self._reader, self._read)

    def _look_later(self, pace: float) -> None:
        """Read after `pace` seconds, whatever arrives until then."""
        if self._reader is not None:
            if self._next_read is None:
                self._loop.remove_reader(self._reader)
            self._next_read = self._loop.call_later(pace, self._read)

    def _look_away(self) -> None:
        """Stop reading."""
        if self._next_read is not None:
            self._next_read.cancel()
            self._next_read = None
        elif self._reader is not None and not self._paused:
            self._loop.remove_reader(self._reader)

    def _pause(self) -> None:
        """Stop reading for now: the broker keeps unread messages."""
        self._look_away()
        self._paused = True
        metrics.paused.set(1)

    def _resume(self) -> None:
        self._look()
        self._paused = False
        metrics.paused.set(0)

    def _acknowledge(self) -> None:
        if self._client.is_connected() and (done := self._pipeline.acknowledgeable()):
            self._client.acknowledge(done)
        if self._paused and self._pipeline.eased and not self._leaving:
            self._resume()

    def _on_connect(self, _client: Any, _data: Any, flags: ConnectFlags, reason: ReasonCode, _properties: Any) -> None:
        if reason.is_failure:
            self._fails(f"login refused: {reason}")
            return
        metrics.connections.inc()
        self._since = self._loop.time()
        self._accepted.set()
        self._pipeline.progress.set()
        log.info("mqtt connected", session_present=flags.session_present)
        if not flags.session_present and (self._pipeline.session_lost() or self._had_session):
            metrics.sessions_lost.inc()
            log.error("the broker lost the session, and with it what it kept while ingest was away")
        self._had_session = True
        self._filters = {}
        for topic in self._settings.mqtt_topics:
            self._filters[self._client.subscribe(topic, 1)[1]] = topic
        self._client.subscribe(DROPPED.decode(), 0)

    def _on_subscribe(self, _client: Any, _data: Any, mid: int, reasons: list[ReasonCode], _properties: Any) -> None:
        topic = self._filters.pop(mid, None)
        if topic is None:
            return
        if reasons[0].is_failure:
            self._fails(f"subscription refused: {topic}")
            self._client.disconnect()
        elif not self._filters:
            self._health.holds(CONDITION)
            log.info("mqtt subscribed", topics=self._settings.mqtt_topics)

    def _on_disconnect(
        self, _client: Any, _data: Any, _flags: DisconnectFlags, reason: ReasonCode, _properties: Any
    ) -> None:
        self._lost.set()
        if not self._leaving and CONDITION not in self._health.reasons:  # else the reason is known, and better
            self._fails(f"disconnected: {reason}")

    def _fails(self, reason: str) -> None:
        self._health.fails(CONDITION, reason)
        log.error("mqtt", reason=reason)
