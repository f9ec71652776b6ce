"""A hostile MQTT client: publishes anything, and keeps everything that it receives."""

import contextlib
from collections.abc import Iterator
from urllib.parse import urlsplit

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from support.conditions import wait_until

ANSWER_SECONDS = 10


class Attacker:
    """One connected client. `received` has topic and payload of every received message."""

    def __init__(
        self, url: str, client_id: str, *, login: tuple[str, str] | None = None, clean: bool = True, will: str = ""
    ) -> None:
        self.received: list[tuple[str, bytes]] = []
        self._connected: list[bool] = []
        self.thrown_out = False
        """Whether the broker closed a connection that it had accepted."""
        self._answers: dict[int, bool] = {}
        self._leaving = False
        self.acknowledged = 0
        """How many of its messages at QoS 1 or 2 the broker acknowledged."""

        self._client = Client(CallbackAPIVersion.VERSION2, client_id, clean_session=clean)
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message
        self._client.on_subscribe = self._on_subscribe
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        if login:
            self._client.username_pw_set(*login)
        if will:
            self._client.will_set(will, b"", qos=1, retain=True)
        place = urlsplit(url)
        self._client.connect(place.hostname, place.port)
        self._client.loop_start()
        wait_until(lambda: self._connected, f"an answer to {client_id}")

    @property
    def admitted(self) -> bool:
        """Whether the broker accepted the connection."""
        return self._connected[0]

    def subscribe(self, topic: str, qos: int = 0) -> bool:
        """Subscribe; return whether the broker grants it."""
        mid = self._client.subscribe(topic, qos)[1]
        wait_until(lambda: mid in self._answers, f"an answer to the subscription to {topic}", ANSWER_SECONDS)
        return self._answers[mid]

    def publish(self, topic: str, payload: bytes = b"", qos: int = 0, *, retain: bool = False) -> None:
        """Publish and wait for the broker's answer; a missing answer is no failure."""
        with contextlib.suppress(RuntimeError):  # it may close the connection instead
            self._client.publish(topic, payload, qos, retain).wait_for_publish(ANSWER_SECONDS)

    def send(self, topic: str, payload: bytes) -> None:
        """Publish at QoS 1 without waiting."""
        self._client.publish(topic, payload, 1)

    def break_off(self) -> None:
        """Close the connection without DISCONNECT, so that the will is published."""
        self._client.loop_stop()
        self._client._sock_close()

    def leave(self) -> None:
        """Disconnect as a client should."""
        self._leaving = True
        self._client.disconnect()
        self._client.loop_stop()
        self._client._reset_sockets()  # paho keeps the sockets of a refused client

    def _on_connect(self, _client: Client, _data: object, _flags: object, reason: ReasonCode, _: Properties) -> None:
        self._connected.append(not reason.is_failure)

    def _on_disconnect(self, _client: Client, _data: object, *_: object) -> None:
        self.thrown_out |= self.admitted and not self._leaving

    def _on_publish(self, *_: object) -> None:
        self.acknowledged += 1

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self.received.append((message.topic, message.payload))

    def _on_subscribe(
        self, _client: Client, _data: object, mid: int, reasons: list[ReasonCode], _properties: Properties
    ) -> None:
        self._answers[mid] = not reasons[0].is_failure


@contextlib.contextmanager
def attacking(url: str, client_id: str = "attacker", **options) -> Iterator[Attacker]:
    """An attacker that is connected while the context lasts."""
    one = Attacker(url, client_id, **options)
    try:
        yield one
    finally:
        one.leave()
