"""An MQTT connection of simulated modules: drives paho from the event loop, and reconnects for ever.

paho sends messages that had no PUBACK when a connection broke again on the next one. At most `MOST_OUTSTANDING`
messages wait for their PUBACK; the caller checks `room` first and waits (overflow rule: block).
"""

import asyncio
import random
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from paho.mqtt.client import Client, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from seve_fleet.simulate.device import DeviceMessage

MOST_OUTSTANDING: Final = 2000
KEEPALIVE_SECONDS: Final = 15
RETRY_SECONDS: Final = 1.0

Acknowledged = Callable[[], None]


class BrokerRefused(Exception):
    """The broker refused CONNECT; the text is its reason."""


class Link:
    """One MQTT 3.1.1 connection with a last will. `run()` keeps it up until it is cancelled."""

    def __init__(
        self,
        broker: str,
        client_id: str,
        will: DeviceMessage,
        *,
        username: str | None,
        password: str | None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        address = urlsplit(broker)
        self._host = address.hostname or "localhost"
        self._port = address.port or (8883 if tls else 1883)
        self._client = Client(
            CallbackAPIVersion.VERSION2, client_id, clean_session=True, protocol=MQTTProtocolVersion.MQTTv311
        )
        if tls:
            self._client.tls_set_context(tls)
        username = username or (unquote(address.username) if address.username else None)
        if username:
            self._client.username_pw_set(username, password or unquote(address.password or ""))
        self._client.will_set(will.topic, will.payload, will.qos, will.retain)
        self._client.max_inflight_messages_set(MOST_OUTSTANDING)
        self._client.suppress_exceptions = False
        self._waiting: dict[int, Acknowledged] = {}
        self._broken = asyncio.Event()
        self.connected = asyncio.Event()
        self._refused: str | None = None
        self._wire()

    @property
    def room(self) -> int:
        """Return how many QoS 1 messages may be published now."""
        return MOST_OUTSTANDING - len(self._waiting)

    def publish(self, message: DeviceMessage, acknowledged: Acknowledged) -> None:
        """Publish a message; `acknowledged` is called at its PUBACK, at QoS 0 once it is handed to the socket."""
        info: MQTTMessageInfo = self._client.publish(message.topic, message.payload, message.qos, message.retain)
        if message.qos == 0:
            if info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS:
                acknowledged()
            return
        self._waiting[info.mid] = acknowledged

    async def run(self) -> None:
        """Connect, and reconnect a second after every loss. Raises BrokerRefused if the broker refuses the client."""
        loop = asyncio.get_running_loop()
        misc = asyncio.create_task(self._misc())
        try:
            while True:
                self._broken.clear()
                try:
                    await loop.run_in_executor(None, self._client.connect, self._host, self._port, KEEPALIVE_SECONDS)
                    await self._broken.wait()
                except OSError:
                    pass  # the broker is down: waiting messages are sent when it is back
                if self._refused:
                    raise BrokerRefused(self._refused)
                await asyncio.sleep(RETRY_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311  (jitter)
        finally:
            misc.cancel()
            if self._client.is_connected():
                self._client.disconnect()
                self._client.loop_write()

    async def _misc(self) -> None:
        while True:
            await asyncio.sleep(1)
            self._client.loop_misc()

    def _wire(self) -> None:
        """Set the callbacks with which paho opens and closes sockets; connecting runs in another thread."""
        loop = asyncio.get_running_loop()
        client = self._client

        def on_open(_client: Client, _userdata: Any, sock: Any) -> None:
            loop.call_soon_threadsafe(lambda: loop.add_reader(sock, client.loop_read))

        def on_close(_client: Client, _userdata: Any, sock: Any) -> None:
            loop.remove_reader(sock)
            loop.remove_writer(sock)

        def on_wants_write(_client: Client, _userdata: Any, sock: Any) -> None:
            loop.call_soon_threadsafe(self._watch_writes, sock)

        def on_written(_client: Client, _userdata: Any, sock: Any) -> None:
            loop.remove_writer(sock)

        client.on_socket_open, client.on_socket_close = on_open, on_close
        client.on_socket_register_write, client.on_socket_unregister_write = on_wants_write, on_written
        client.on_connect, client.on_disconnect, client.on_publish = (
            self._on_connect,
            self._on_disconnect,
            self._on_publish,
        )

    def _watch_writes(self, sock: socket.socket) -> None:
        if self._client.socket() is sock and sock.fileno() >= 0:
            asyncio.get_running_loop().add_writer(sock, self._client.loop_write)

    def _on_connect(self, _client: Client, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._refused = str(reason)
        else:
            self.connected.set()

    def _on_disconnect(self, *_: Any) -> None:
        self.connected.clear()
        self._broken.set()

    def _on_publish(self, _client: Client, _userdata: Any, mid: int, _reason: Any, _properties: Any) -> None:
        acknowledged = self._waiting.pop(mid, None)
        if acknowledged:
            acknowledged()
